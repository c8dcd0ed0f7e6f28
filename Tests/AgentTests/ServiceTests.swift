import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// The agent as its service manager and its operator see it.
@Suite struct ServiceTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    @Test func theAgentEndsWithinASecondOfSIGTERM() async throws {
        let version = try await device.publish(2, ballast: 2_000_000)
        try await SimulatedServer.run(
            device.server([version], faults: [Fault(path: "/files/v2", bytesPerSecond: 100_000)])
        ) { server async throws in
            try device.configure(server: server.url)
            let run = try await AgentProcess.run(device) { agent async throws in
                // During a download.
                #expect(await agent.says("Downloading v2"))
                let before = Clock.bootTime
                kill(agent.pid, SIGTERM)
                #expect(await eventually(within: 5) { agent.hasEnded })
                #expect(Clock.bootTime - before < 1)
                #expect(await eventually { agent.messages.contains("STOPPING=1") })
            }
            #expect(run.end == .exited(0))
            #expect(await eventually { await workers().isEmpty }, "a worker was left behind")
        }
    }

    @Test func aStoppedDownloadIsResumedByTheNextStart() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        let slow = Fault(path: "/files/v2", times: 2, bytesPerSecond: 700_000)
        try await SimulatedServer.run(device.server([version], faults: [slow])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says(" % of 3.0 MB, "))
            }
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date (v2, code 2)"))
            }
            let ranges = await server.records.filter { $0.path == "/files/v2" }.map { $0.headers["range"] }
            #expect(ranges.count == 2 && ranges[0] == nil && ranges[1] != nil, "\(ranges)")
            #expect(await server.records.count { $0.code == 200 } == 1, "the offer was not requested again")
        }
    }

    @Test func aReloadAppliesOnlyAValidConfiguration() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: "[poll]\ninterval = \"5h\"")
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date"))
                try device.configure(server: server.url, changes: "[poll]\ninterval = \"soon\"")
                kill(agent.pid, SIGHUP)
                #expect(await agent.says("The configuration was not reloaded: "))
                #expect(await agent.logs("poll.interval: found the text \"soon\""))
                #expect(agent.messages.contains("RELOADING=1"))
                #expect(agent.messages.contains { $0.hasPrefix("MONOTONIC_USEC=") })
                #expect(await eventually { agent.messages.count { $0 == "READY=1" } == 2 })
                try device.configure(server: server.url, changes: "[device]\nversionFile = \"@ROOT@/other\"")
                try device.scratch.write("other", "VERSION=v9\nVERSION_CODE=9\n")
                kill(agent.pid, SIGHUP)
                #expect(await agent.logs("Configuration reloaded"))
                #expect(await agent.says("Up to date (v9, code 9)"))
            }
        }
    }

    @Test func theAgentSendsKeepAliveMessages() async throws {
        try device.configure(
            server: Loopback.unusedPort,
            changes: "[poll]\nbackOffBase = \"1h\"\nbackOffCap = \"1h\"")
        try await AgentProcess.run(device, environment: ["WATCHDOG_USEC": "400000"]) { agent async throws in
            #expect(await eventually { agent.messages.count { $0 == "WATCHDOG=1" } >= 5 })
            // A stopped main queue sends no keep-alive messages.
            kill(agent.pid, SIGSTOP)
            try await Task.sleep(for: .milliseconds(300))
            let count = agent.messages.count { $0 == "WATCHDOG=1" }
            try await Task.sleep(for: .seconds(1))
            #expect(agent.messages.count { $0 == "WATCHDOG=1" } == count)
            kill(agent.pid, SIGCONT)
        }
    }

    /// A second line would be another field (sd_notify(3)).
    @Test func aStatusIsOneLine() async throws {
        try device.configure(
            server: "http://127.0.0.1:1", changes: "[state]\ndirectory = \"/proc/none\\nMAINPID=1\"")
        let run = try await AgentProcess.run(device) { agent async throws in
            #expect(await agent.says("cannot create /proc/none MAINPID=1: "), "\(agent.messages)")
            #expect(!agent.messages.contains("MAINPID=1"))
            #expect(await eventually { agent.hasEnded })
        }
        #expect(run.end == .exited(73))
    }

    /// systemd drops a longer message, and then waits for the READY=1 that was in it.
    @Test func aStatusThatIsLongInBytesIsCut() async throws {
        // What is above a letter belongs to its character.
        let message = String(repeating: "a" + String(repeating: "\u{1E8D0}", count: 7), count: 200)
        @Sendable func isLong(_ status: String) -> Bool {
            status.utf8.count > 3000 && status.unicodeScalars.contains("\u{1E8D0}")
        }
        let reply = Fault(path: "/v1/url/upgrade", body: #"{"code":500000,"msg":"\#(message)"}"#)
        try await SimulatedServer.run(device.server([], faults: [reply])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await eventually { agent.statuses.contains(where: isLong) }, "\(agent.statuses)")
            }
            try await AgentProcess.run(device) { agent async throws in
                #expect(await eventually { agent.messages.contains("READY=1") })
                #expect(agent.statuses.first.map(isLong) == true, "\(agent.messages)")
            }
        }
    }

    /// The reader of its messages has ended.
    @Test func anErrorWithoutAReaderHasItsExitStatus() async throws {
        try device.configure(server: "http://127.0.0.1:1", changes: "[poll]\ninterval = false")
        let script = """
            mkfifo "$2/pipe" && exec 3<>"$2/pipe" 4>"$2/pipe" 3>&-
            env --default-signal=PIPE "$1" --root "$2" 2>&4 || echo $?
            """
        let status = try await execute(
            "sh", ["-c", script, "sh", "\(programsDirectory)/upgradelinkd", device.scratch.path])
        #expect(status == "78\n")
    }

    @Test func aSecondAgentDoesNotStart() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { first async throws in
                #expect(await first.says("Up to date"))
                let second = try await AgentProcess.run(device) { agent async throws in
                    #expect(await eventually { agent.hasEnded })
                }
                #expect(second.end == .exited(73))
                #expect(second.log.contains { $0.contains("is in use by another upgradelinkd") })
            }
        }
    }

    @Test func anInvalidConfigurationGivesExitStatus78AndOneLine() async throws {
        try device.configure(server: "http://127.0.0.1:1", changes: "[poll]\ninterval = false")
        let run = try await AgentProcess.run(device) { agent async throws in
            #expect(await eventually { agent.hasEnded })
        }
        #expect(run.end == .exited(78))
        #expect(run.log.count == 1)
        #expect(
            run.log[0].hasSuffix(
                "test.toml:2: poll.interval: found false, allowed is a length of time from 1 s to 90 d, such as \"90s\", \"15min\" or \"6h\""
            ))
        let check = try await command(["--check-config", "--root", device.scratch.path])
        #expect(check.status == .exited(78))
        #expect(check.errors.split(separator: "\n").count == 1 && check.errors.contains("poll.interval: found false"))
        try device.configure(server: "http://127.0.0.1:1")
        #expect(try await command(["--check-config", "--root", device.scratch.path]).status == .exited(0))
    }

    @Test func everyConfigurationErrorIsALineAndTheStatusIsOne() async throws {
        try device.configure(
            server: "http://127.0.0.1:1", changes: "[poll]\ninterval = false\nsplayy = 5\n[install]\nattempts = 0")
        let run = try await AgentProcess.run(device) { agent async throws in
            #expect(
                await agent.says("3 errors in the configuration; the first: "), "\(agent.messages)")
            #expect(await eventually { agent.hasEnded })
        }
        #expect(run.end == .exited(78))
        let places = ["test.toml:2: poll.interval: ", "test.toml:3: poll.splayy: ", "test.toml:5: install.attempts: "]
        let check = try await command(["--check-config", "--root", device.scratch.path])
        #expect(check.status == .exited(78))
        for lines in [run.log, check.errors.split(separator: "\n").map(String.init)] {
            #expect(lines.count == 3)
            for (line, place) in zip(lines, places) { #expect(line.contains(place), "\(line)") }
        }
        #expect(run.log.allSatisfy { $0.hasPrefix("error: ") }, "\(run.log)")
    }

    @Test(arguments: [
        ("\0", "1:1: not TOML: a NUL byte"), ("[poll]\ninterval = \"6h\"\n\0[server]\n", "3:1: not TOML: a NUL byte"),
        ("[poll]\ninterval = \"6\0h\"\n", "2:14: not TOML: a NUL byte"),
        ("[poll] # \0\ninterval = \"6h\"\n", "1:10: not TOML: a NUL byte"), ("[?", "1:2: not TOML: "),
        ("[poll]\n[?server]\n", "2:2: not TOML: "),
    ])
    func aFileThatIsNotTOMLGivesExitStatus78(text: String, complaint: String) async throws {
        try device.configure(server: "http://127.0.0.1:1", changes: text)
        let check = try await command(["--check-config", "--root", device.scratch.path])
        #expect(check.status == .exited(78))
        #expect(check.errors.split(separator: "\n").count == 1)
        #expect(
            check.errors.contains("/etc/upgradelinkd/upgradelinkd.toml.d/test.toml:\(complaint)"), "\(check.errors)")
    }

    @Test func helpAndVersionArePrinted() async throws {
        let help = try await command(["--help"])
        #expect(help.status == .exited(0) && help.output.contains("/etc/upgradelinkd/upgradelinkd.toml"))
        #expect(try await command(["--version"]).output == "\(productVersion)\n")
        #expect(try await command(["--nonsense"]).status == .exited(64))
    }

    private func command(
        _ arguments: [String]
    ) async throws -> (status: TerminationStatus, output: String, errors: String) {
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelinkd")), arguments: .init(arguments),
            output: .string(limit: 65_536),
            error: .string(limit: 65_536))
        return (result.terminationStatus, result.standardOutput, result.standardError)
    }

    @Test func theSecretIsInNoArgumentEnvironmentLogOrStateFile() async throws {
        let version = try await device.publish(2, ballast: 2_000_000)
        try await SimulatedServer.run(
            device.server(
                [version],
                faults: [Fault(path: "/files/v2", times: 2, bytesPerSecond: 500_000), Fault(path: "/v1", delay: 0.5)])
        ) {
            server async throws in
            try device.configure(server: server.url)
            let run = try await AgentProcess.run(device) { agent async throws in
                var seenWorker = false
                for _ in 0..<200 where device.runs != 2 {
                    for pid in [agent.pid] + (await workers()) {
                        if pid != agent.pid { seenWorker = true }
                        for name in ["cmdline", "environ"] {
                            let bytes = (try? Files.read("/proc/\(pid)/\(name)", limit: 1 << 20)) ?? []
                            #expect(!String(decoding: bytes, as: UTF8.self).contains(AgentDevice.secret))
                        }
                    }
                    try await Task.sleep(for: .milliseconds(30))
                }
                #expect(seenWorker)
                #expect(!agent.messages.contains { $0.contains(AgentDevice.secret) })
            }
            #expect(!run.log.contains { $0.contains(AgentDevice.secret) })
            for name in try Files.list("\(device.scratch.path)/state") where name.hasSuffix(".json") {
                #expect(!(try device.scratch.read("state/\(name)")).contains(AgentDevice.secret))
            }
        }
    }

    @Test func aDamagedStateFileIsRenamedAndLogged() async throws {
        try device.scratch.write("state/state.json", "{\"bootID\":")
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date"))
                #expect(await agent.logs("state.json was damaged and is set aside"))
            }
        }
        #expect(device.scratch.exists("state/state.json.damaged"))
    }

    private func workers() async -> [pid_t] {
        ((try? Files.list("/proc")) ?? []).compactMap { pid_t($0) }.filter { pid in
            guard let bytes = try? Files.read("/proc/\(pid)/cmdline", limit: 65_536) else { return false }
            return String(decoding: bytes, as: UTF8.self).contains("upgradelink-fetch") && belongsHere(pid)
        }
    }

    /// Other tests have workers too: those of this device have files of its directory open.
    private func belongsHere(_ pid: pid_t) -> Bool {
        let names = (try? Files.list("/proc/\(pid)/fd")) ?? []
        var buffer = [CChar](repeating: 0, count: 4096)
        return names.contains { name in
            let count = readlink("/proc/\(pid)/fd/\(name)", &buffer, buffer.count - 1)
            return count > 0
                && String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix(
                    device.scratch.path)
        }
    }
}
