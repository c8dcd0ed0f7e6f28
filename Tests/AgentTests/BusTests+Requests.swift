import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// Inhibitors, files, the speed limit and consent.
extension BusTests {
    @Test func anInhibitorDelaysUpdatesWhileItsDescriptorIsOpen() async throws {
        try await withAgent { bus, agent, server async throws in
            // The client keeps its descriptor open until its standard input closes.
            _ = try await Subprocess.run(
                .name("python3"), arguments: ["-c", Self.inhibit, bus.address], input: .inputWriter, output: .sequence,
                error: .discarded
            ) { holder async throws in
                for try await line in holder.standardOutput.strings() where line == "held" { break }
                #expect(
                    await bus.property("Inhibitors")
                        == #"aa{sv} 1 3 "what" s "download:install" "who" s "TV" "why" s "recording""#)
                let version = try await device.publish(2)
                await server.change { $0.applications[0].versions.append(version) }
                #expect(await agent.says("Ready to download v2 (code 2) delayed by TV: recording"))
                #expect(device.runs == 1)
                try await holder.standardInputWriter.finish()
            }
            #expect(await agent.says("Up to date (v2, code 2)"))
            #expect(await bus.property("Inhibitors") == "aa{sv} 0")
        }
    }

    /// busctl cannot keep a descriptor open, and GLib's Python binding is not always installed: this client sends the few
    /// D-Bus messages itself.
    private static let inhibit = """
        import os, socket, struct, sys, array
        path = sys.argv[1].split("unix:path=")[1]
        s = socket.socket(socket.AF_UNIX); s.connect(path)
        s.sendall(b"\\0AUTH EXTERNAL 30\\r\\nNEGOTIATE_UNIX_FD\\r\\nBEGIN\\r\\n")
        while b"AGREE_UNIX_FD" not in s.recv(4096): pass
        def pad(b, n): return b + b"\\0" * (-len(b) % n)
        def string(t): return struct.pack("<I", len(t)) + t.encode() + b"\\0"
        def call(serial, dest, path, iface, member, sig="", body=b""):
            fields = b""
            for code, kind, value in ((1, "o", path), (6, "s", dest), (2, "s", iface), (3, "s", member)):
                fields = pad(fields, 8) + bytes([code, 1]) + kind.encode() + b"\\0" + string(value)
            if sig: fields = pad(fields, 8) + bytes([8, 1]) + b"g\\0" + bytes([len(sig)]) + sig.encode() + b"\\0"
            head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(fields)) + fields
            s.sendall(pad(head, 8) + body)
        call(1, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        body = b""
        for text in ("download:install", "TV", "recording"): body = pad(body, 4) + string(text)
        call(2, "org.upgradelink.Agent1", "/org/upgradelink/Agent1", "org.upgradelink.Agent1", "Inhibit", "sss", body)
        while True:
            data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(16))
            if ancillary: break
        # Only its end counts.
        os.write(array.array("i", ancillary[0][2])[0], b"x" * 300)
        print("held", flush=True)
        sys.stdin.read()
        """

    @Test func aFileFromAUSBStickIsInstalledIfItIsVerified() async throws {
        _ = try await device.publish(2)
        let stick = "\(device.scratch.path)/files/v2"
        try await withAgent(changes: "[poll]\nsplay = \"1h\"") { bus, agent, _ async throws in
            try device.scratch.write("forged", "VERSION_CODE=9")
            try await execute("cp", ["\(stick).minisig", "\(device.scratch.path)/forged.minisig"])
            let forged = try await bus.call("InstallFile", "s", "\(device.scratch.path)/forged")
            #expect(!forged.isSuccess && forged.error.contains("its content is not what was signed"))
            try await execute("mkfifo", ["\(device.scratch.path)/pipe"])
            let pipe = try await bus.call("InstallFile", "s", "\(device.scratch.path)/pipe")
            #expect(!pipe.isSuccess && pipe.error.contains("is not a regular file"))
            let absent = try await bus.call("InstallFile", "s", "/nonexistent")
            #expect(!absent.isSuccess && absent.error.contains("/nonexistent"))
            #expect(device.runs == 1)
            #expect(try await bus.call("InstallFile", "s", stick).output == "t 2")
            #expect(await eventually { device.runs == 2 })
            #expect(await eventually { await bus.property("State") == "s \"idle\"" })
            // A second request for the same file is refused.
            let again = try await bus.call("InstallFile", "s", stick)
            #expect(!again.isSuccess && again.error.contains("already"), "\(again)")
        }
    }

    @Test func aSpeedLimitTakesEffectOnARunningDownload() async throws {
        let version = try await device.publish(2, ballast: 12_000_000)
        try await withAgent([version], changes: "[download]\nspeedLimit = \"100kB\"") { bus, agent, _ async throws in
            #expect(await agent.says("Downloading v2: "))
            #expect(await bus.property("SpeedLimit") == "t 100000")
            #expect(try await !bus.call("SetSpeedLimit", "t", "18446744073709551615").isSuccess)
            #expect(await bus.property("SpeedLimit") == "t 100000")
            // At 100 kB/s the download would take two minutes.
            #expect(try await bus.call("SetSpeedLimit", "t", "0").isSuccess)
            #expect(await agent.says("Up to date (v2, code 2)", within: 30))
        }
    }

    /// At 100 kB/s the download would take two minutes.
    @Test func aCancelledDownloadDoesNotContinue() async throws {
        let version = try await device.publish(2, ballast: 12_000_000)
        try await withAgent([version], changes: "[download]\nspeedLimit = \"100kB\"") { bus, agent, _ async throws in
            #expect(await agent.says("Downloading v2: "))
            #expect(!agent.workers.isEmpty)
            #expect(try await bus.call("Cancel").isSuccess)
            #expect(await eventually { agent.workers.isEmpty })
        }
    }

    /// The worker of the cancelled download has not ended yet. Its end is none of the next download.
    @Test func aCancelledDownloadCanBeginAgainAtOnce() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        try await withAgent([version], faults: [Fault(path: "/files/v2", times: 2, bytesPerSecond: 100_000)]) {
            bus, agent, server async throws in
            #expect(await agent.says("Downloading v2: "))
            // A report may be sent meanwhile.
            #expect(await eventually { agent.workers.count == 1 })
            let worker = try #require(agent.workers.first.flatMap { pid_t($0) })
            #expect(kill(worker, SIGSTOP) == 0)
            #expect(try await bus.call("Cancel").isSuccess)
            #expect(try await bus.call("Accept", "ts", "2", "now").isSuccess)
            #expect(agent.workers.contains("\(worker)"))
            kill(worker, SIGCONT)
            #expect(await agent.updates(to: 2, server))
            #expect(!agent.log.contains { $0.contains("has to wait") || $0.contains("Ignored") }, "\(agent.log)")
        }
    }

    /// The module does not say yet what space it needs.
    @Test func aDownloadThatIsCancelledBeforeItsBeginDoesNotBegin() async throws {
        let root = device.scratch.path
        try device.scratch.write("modules/slow.space", "")
        try device.scratch.write(
            "modules/slow",
            """
            #!/bin/sh
            if [ "$1" = NeedsSpace ]; then
                : >\(root)/asked
                while [ ! -e \(root)/go ]; do sleep 0.1; done
            fi
            exec \(modulesDirectory)/directory "$@"

            """, mode: 0o755)
        let version = try await device.publish(2)
        try await withAgent([version], changes: "[install]\nmodule = \"slow\"") { bus, agent, server async throws in
            #expect(await eventually { device.scratch.exists("asked") })
            #expect(try await bus.call("Cancel").isSuccess)
            unlink("\(root)/asked")
            try device.scratch.write("go", "")
            #expect(await eventually { agent.workers.isEmpty })
            let polls = await server.polls
            #expect(try await bus.call("Check").isSuccess)
            #expect(await eventually { await server.polls > polls })
            #expect(await server.records.allSatisfy { $0.path != "/files/v2" })
            #expect(try await bus.call("Accept", "ts", "2", "now").isSuccess)
            #expect(await agent.updates(to: 2, server))
        }
    }

    /// The first is held while its worker makes its copy.
    @Test func onlyOneFileIsTakenInAtATime() async throws {
        _ = try await device.publish(2)
        let fifo = "\(device.scratch.path)/hold"
        let environment = [
            "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "FAULT_PROGRAM": "upgradelink-fetch",
            "FAULT_DIRECTORY": "\(device.scratch.path)/staging", "FAULT_HOLD": fifo,
            "FAULT_TRACE": "\(device.scratch.path)/held",
        ]
        try await withAgent(changes: "[poll]\nsplay = \"1h\"", environment: environment) { bus, _, _ async throws in
            let stick = "\(device.scratch.path)/files/v2"
            #expect(mkfifo(fifo, 0o600) == 0)
            async let first = bus.call("InstallFile", "s", stick)
            #expect(await eventually { device.scratch.exists("held") })
            let second = try await bus.call("InstallFile", "s", stick)
            let descriptor = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC)
            unlink(fifo)
            close(descriptor)
            #expect(!second.isSuccess && second.error.contains("another file is being verified"), "\(second)")
            #expect(try await first.output == "t 2")
            #expect(await eventually { device.runs == 2 })
        }
    }

    /// Nothing else is due for an hour: the agent stores its state later, and then handles what was requested, in this order.
    @Test func whatIsRequestedWhileTheDiskIsFullIsDoneLater() async throws {
        let version = try await device.publish(2, type: 1)
        try await device.scratch.withSmallFileSystem("state", size: "1m") { state in
            try await withAgent([version], changes: "[poll]\ninterval = \"1h\"\nsplay = \"1h\"") {
                bus, agent, server async throws in
                #expect(try await bus.call("Check").isSuccess)
                #expect(await agent.says("Waiting for consent to install v2 (code 2)"))
                #expect(await eventually { agent.workers.isEmpty })
                _ = try? await execute("sh", ["-c", "cat /dev/zero >\(state)/ballast"])
                #expect(try await bus.call("Check").isSuccess)
                #expect(try await bus.call("Accept", "ts", "2", "now").isSuccess)
                #expect(await agent.says("Cannot store the state: "))
                #expect(device.runs == 1)
                unlink("\(state)/ballast")
                #expect(await agent.says("Up to date (v2, code 2)"))
                #expect(await server.polls > 1)
            }
        }
    }

    private func writeRebootingModule() throws {
        try device.scratch.write(
            "modules/rebooting",
            "#!/bin/sh\n[ \"$1\" = NeedsArtifactReboot ] && { echo Automatic; exit 0; }\nexec \(modulesDirectory)/directory \"$@\"\n",
            mode: 0o755)
    }

    /// The module needs a reboot, and the configuration requires consent to it. A reboot command that fails once simulates an
    /// inhibitor of logind.
    @Test func aRebootWaitsForConsentAndIsTriedAgainAfterARefusal() async throws {
        try writeRebootingModule()
        let command =
            "echo x >>@ROOT@/reboots; [ $(wc -l <@ROOT@/reboots) -gt 1 ] || { echo inhibited by TV >&2; exit 1; }"
        let version = try await device.publish(2)
        try await withAgent(
            [version],
            changes:
                "[install]\nmodule = \"rebooting\"\nreboot = \"ask\"\nrebootCommand = [\"/bin/sh\", \"-c\", \"\(command)\"]"
        ) { bus, agent, _ async throws in
            #expect(await agent.says("Rebooting after the user's consent, to finish v2 (code 2)"))
            #expect(await bus.property("State") == "s \"restart\"")
            #expect(!device.scratch.exists("reboots"))
            #expect(try await bus.call("Accept", "ts", "2", "now").isSuccess)
            #expect(await agent.says("v2 (code 2) waits: the device cannot be rebooted: inhibited by TV; next try "))
            // The user has consented; the refusal does not change that.
            #expect(await agent.says("Rebooting to finish v2 (code 2)"))
            #expect(await eventually { (try? device.scratch.read("reboots")) == "x\nx\n" })
        }
    }

    /// The installer gets the cancellation: it rolls back, which needs a reboot too.
    @Test func anInstallationThatWaitsForItsRebootIsCancelled() async throws {
        try writeRebootingModule()
        let version = try await device.publish(2)
        try await withAgent(
            [version],
            changes:
                "[install]\nmodule = \"rebooting\"\nreboot = \"ask\"\nrebootCommand = [\"/bin/touch\", \"@ROOT@/rebooted\"]"
        ) { bus, agent, _ async throws in
            #expect(await agent.says("Rebooting after the user's consent, to finish v2 (code 2)"))
            #expect(device.runs == 2)
            #expect(try await bus.call("Cancel").isSuccess)
            #expect(await eventually { device.runs == 1 }, "\(agent.log)")
        }
    }
}
