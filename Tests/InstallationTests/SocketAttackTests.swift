import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation
@testable import InstallerProgram

/// A hostile client of the installer: a taken-over agent. It is refused with a reason, and it can neither delay nor disable
/// updates.
@Suite struct SocketAttackTests {
    /// A device whose module needs no reboot.
    private func recorder() async throws -> InstallerDevice {
        try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed)).device
    }

    private static let good = #"{"finished":{"_0":{"committed":{}}}}"#

    private func committed(_ lines: [String]) -> Bool {
        (lines.last ?? "").replacing(" ", with: "").contains(Self.good)
    }

    /// The updates still work.
    private func expectAnUpdate(_ device: InstallerDevice, to version: Int) async throws {
        try device.scratch.write("control/new-version", "VERSION_CODE=\(version)\n")
        let job = try await device.job(InstallID(version), version: version, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .committed)
    }

    // MARK: refused with a reason

    @Test(arguments: [
        ("", "not a message"), ("{}", "not a message"), ("null", "not a message"), ("[1]", "not a message"),
        (#"{"install":{"_0":{"id":1}}}"#, "not a message"), (#"{"resume":{"_0":"x"}}"#, "not a message"),
        (#"{"resume":{"_0":1e400}}"#, "not a message"),
        (String(repeating: "[", count: 200_000), "not a message"),
    ])
    func aSenselessRequestIsRefusedWithAReason(text: String, reason: String) async throws {
        let device = try await recorder()
        // A program's argument has a limit: a file would not.
        let lines = await Attacker(.program(device)).run("send", String(text.prefix(100_000)))
        #expect((lines.last ?? "").contains(reason), "\(lines)")
        try await expectAnUpdate(device, to: 2)
    }

    @Test func aLineThatIsTooLongIsRefusedWithAReason() async throws {
        let device = try await recorder()
        let lines = await Attacker(.program(device)).run("long", "300000")
        #expect((lines.last ?? "").contains("Message too long"), "\(lines)")
        try await expectAnUpdate(device, to: 2)
    }

    /// Each text is as long as the line can be. What the installer cannot store is refused before anything is begun.
    @Test(arguments: [
        ("promptUpgradeContent", 2900), ("promptUpgradeContent", 200_000), ("versionName", 100_000),
        ("urlPath", 100_000), ("urlKey", 3000), ("urlKey", 100_000), ("sidecar", 16_384), ("sidecar", 30_000),
    ])
    func aTextThatIsTooLongDisablesNothing(field: String, count: Int) async throws {
        let device = try await recorder()
        try await prepare(device, version: 2)
        let lines = await Attacker(.program(device)).run(
            "text", "\(device.scratch.path)/artifact-file", "2", field, "\(count)")
        let answer = lines.last ?? ""
        #expect(answer.contains("refused") || committed(lines), "\(answer.prefix(300))")
        if answer.contains("refused") { #expect(!device.scratch.exists("control/log"), "a module ran") }
        if let stored = try? device.scratch.read("state/installer/installation.json") {
            #expect(stored.utf8.count <= maximumMessageBytes)
        }
        try await expectAnUpdate(device, to: 3)
    }

    /// The longest texts together, each of them allowed.
    @Test func aJobThatCannotBeStoredIsRefused() async throws {
        let boots = try await RebootTests.Recorded()
        let long = String(repeating: "e" + String(repeating: "\u{1D165}", count: 7), count: 5000)
        let fields = OfferFields(
            urlKey: InstallerDevice.urlKey, versionName: long, versionCode: 2,
            urlPath: "http://h/" + String(repeating: "/", count: 16_000), upgradeType: 1, promptUpgradeContent: long)
        var job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        job.offer = try Offer(fields, respondingTo: CheckRequest(urlKey: InstallerDevice.urlKey, versionCode: 1))
        #expect(
            try await boots.boot("a", .install(job))
                == .refused("its texts are too long to be stored", code: .jobInvalid))
        #expect(try Files.list("\(boots.scratch.path)/state/installer").isEmpty)
        let next = try await boots.recorder.device.job(2, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(next)) == .needsReboot(isRollback: false))
    }

    /// The id of a lost record would match every later request.
    @Test func theIDOfALostRecordIsRefused() async throws {
        let boots = try await RebootTests.Recorded()
        let job = try await boots.recorder.device.job(0, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .refused("its id is 0", code: .jobInvalid))
    }

    /// Neither can the agent fill the disk of the installer.
    @Test func theInstallerKeepsDiskSpaceFree() async throws {
        let device = try await recorder()
        let path = "etc/upgradelinkd/upgradelinkd.toml"
        let text = try device.scratch.read(path)
        try device.scratch.write(
            path, text.replacing("[download]\n", with: "[download]\nkeepFree = \"1000000G\"\n"))
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        guard case .noSpace(let reason) = await device.run(.install(job)).result else {
            Issue.record("the disk is filled")
            return
        }
        #expect(reason.contains("must stay so (download.keepFree)"), "\(reason)")
        #expect(!device.scratch.exists("state/installer/tree"))
        try device.scratch.write(path, text)
        try await expectAnUpdate(device, to: 2)
    }

    // MARK: planted files

    /// The version is unknown, and that is found out without waiting.
    @Test(.timeLimit(.minutes(2)), arguments: Planted.allCases)
    func aPlantedVersionFileDelaysNothing(planted: Planted) async throws {
        let device = try await InstallerDevice(install: "module = \"m\"\nmoduleDirectories = [\"@ROOT@/modules\"]")
        let script = """
            #!/bin/sh
            [ "$1" != ArtifactInstall ] || { rm -rf @ROOT@/version; echo VERSION_CODE=2 >@ROOT@/version; }
            """
        try device.scratch.write("modules/m", script.replacing("@ROOT@", with: device.scratch.path), mode: 0o755)
        try device.scratch.write("artifact-file", "content")
        try Files.remove("\(device.scratch.path)/version")
        try planted.plant(at: "\(device.scratch.path)/version")
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .committed)
    }

    /// The agent does not wait for an artifact or a signature that is something else.
    @Test(.timeLimit(.minutes(2)), arguments: Planted.allCases)
    func aPlantedArtifactIsRefused(planted: Planted) async throws {
        let device = try await recorder()
        var job = try await device.job(2, version: 2, artifact: "artifact-file")
        let path = "\(device.scratch.path)/planted"
        try planted.plant(at: path)
        let artifact = job.artifact
        job.artifact.path = path
        // A regular file is passed on, and the installer refuses it.
        switch await device.run(.install(job)).result {
        case .refused where planted == .endlessFile: break
        case .artifactLost: break
        case let result: Issue.record("\(result)")
        }
        job.artifact = artifact
        job.artifact.sidecarPath = path
        guard case .artifactLost(let reason) = await device.run(.install(job)).result else {
            Issue.record("not refused")
            return
        }
        #expect(reason.hasPrefix("its file is lost: ") && reason.contains(planted.complaint), "\(reason)")
        #expect(!device.scratch.exists("control/log"), "no module ran")
    }

    // MARK: descriptors

    private func prepare(_ device: InstallerDevice, version: Int) async throws {
        _ = try await device.job(InstallID(version), version: version, artifact: "artifact-file")
        try device.scratch.write("control/new-version", "VERSION_CODE=\(version)\n")
    }

    /// A module lists the open files of the installer that runs it.
    @Test(arguments: [1, 2, 60, 252])
    func furtherFilesAreClosed(count: Int) async throws {
        let device = try await InstallerDevice(
            install: "module = \"looking\"\nmoduleDirectories = [\"@ROOT@/modules\"]")
        let script = """
            #!/bin/sh
            [ "$1" != ArtifactInstall ] || { ls -l /proc/$PPID/fd >@ROOT@/open; echo VERSION_CODE=2 >@ROOT@/version; }
            """
        try device.scratch.write("modules/looking", script.replacing("@ROOT@", with: device.scratch.path), mode: 0o755)
        try device.scratch.write("artifact-file", "content")
        try device.scratch.write("planted", "x")
        try await prepare(device, version: 2)
        let lines = await Attacker(.program(device)).run(
            "descriptors", "\(device.scratch.path)/artifact-file", "2", "\(device.scratch.path)/planted", "\(count)")
        #expect(committed(lines), "\(lines)")
        let open = try device.scratch.read("open")
        #expect(!open.contains("planted"), "\(open)")
        #expect(open.components(of: "artifact-file") <= 1, "\(open)")
    }

    /// A request that takes no file: the installer holds none of them while it waits for its directory.
    @Test func filesWithARequestThatTakesNoneAreClosed() async throws {
        let device = try await recorder()
        let directory = "\(device.scratch.path)/state/installer"
        try Files.createDirectory(directory)
        try device.scratch.write("planted", "x")
        var lock: DirectoryLock? = try DirectoryLock(directory)
        let found = Collected()
        async let attack = Attacker(.program(device)).run(
            "uninvited", "\(device.scratch.path)/planted", #"{"resume":{"_0":1}}"#,
            onLine: { found.add(.output($0)) })
        #expect(await eventually { found.lines.first?.firstMatch(of: /"pid": (\d+)/) != nil })
        let pid = found.lines.first?.firstMatch(of: /"pid": (\d+)/).map { String($0.1) } ?? ""
        let open = {
            ((try? Files.list("/proc/\(pid)/fd")) ?? []).compactMap { Files.linkTarget("/proc/\(pid)/fd/\($0)") }
        }
        #expect(await eventually { open().contains { $0.hasSuffix("/installer/lock") } }, "it waits for the lock")
        #expect(!open().contains { $0.hasSuffix("/planted") }, "\(open())")
        withExtendedLifetime(lock) {}
        lock = nil
        #expect((await attack.last ?? "").contains("unknown"))
    }

    // MARK: time

    /// A byte now and then does not extend the time limit of a request.
    @Test func aSlowRequestEndsAfterTenSeconds() async throws {
        let device = try await recorder()
        let line = await Attacker(.program(device)).run("slow", "0.5").last ?? ""
        let seconds = line.firstMatch(of: /"seconds": ([\d.]+)/).flatMap { Double($0.1) } ?? .infinity
        #expect(seconds > 8 && seconds < 25, "\(line)")
        #expect(line.contains("refused") && line.contains("timed out"), "\(line)")
    }

    /// The client reads nothing, and the module prints more than any buffer has. The installation ends in time, and the next
    /// one does not wait for this client.
    @Test func aClientThatDoesNotReadDelaysNothing() async throws {
        let device = try await InstallerDevice(
            install: "module = \"loud\"\nmoduleDirectories = [\"@ROOT@/modules\"]")
        let script = """
            #!/bin/sh
            case "$1" in
                ArtifactInstall) yes "a line of the module's output" | head -n 100000; cp @ROOT@/next @ROOT@/version ;;
                NeedsArtifactReboot) echo No ;;
            esac
            """
        try device.scratch.write("modules/loud", script.replacing("@ROOT@", with: device.scratch.path), mode: 0o755)
        try device.scratch.write("artifact-file", "content")
        try device.scratch.write("next", "VERSION_CODE=2\n")
        _ = try await device.job(2, version: 2, artifact: "artifact-file")
        try await withListener(device) { listener in
            async let deaf = Attacker(.socket(listener.path)).run(
                "deaf", "\(device.scratch.path)/artifact-file", "2", "30")
            #expect(
                await eventually(within: 25) {
                    (try? device.scratch.read("state/installer/installation.json"))?.contains("committed") == true
                }, "it is committed although the client does not read")
            #expect(await eventually { await listener.journal.contains { $0.contains("gets no more reports") } })
            #expect(await listener.journal.contains("<6>a line of the module's output"))
            #expect(await listener.journal.contains("<5>The installation is committed"))
            // Another client gets the directory at once.
            #expect(await listener.send(.resume(2)) == .committed)
            _ = await deaf
        }
    }

    // MARK: the listener

    private func withListener(
        _ device: InstallerDevice, _ body: (InstallerListener) async throws -> Void
    ) async throws {
        let listener = try await InstallerListener(root: device.scratch.path)
        do {
            try await body(listener)
        } catch {
            await listener.terminate()
            throw error
        }
        await listener.terminate()
        #expect(await eventually { await listener.end == .exited(0) }, "it ends at SIGTERM")
    }

    @Test func theListenerStartsAnInstallerForEachRequest() async throws {
        let device = try await recorder()
        try await withListener(device) { listener in
            for id in 1...5 as ClosedRange<InstallID> { #expect(await listener.send(.resume(id)) == .unknown) }
            let job = try await device.job(2, version: 2, artifact: "artifact-file")
            #expect(await listener.send(.install(job)) == .committed)
            #expect(await listener.send(.resume(2)) == .committed)
        }
        let mark = "\(RequestListener.mark.name)=\(RequestListener.mark.value)"
        #expect(try device.scratch.read("control/environment").contains(mark) == true)
    }

    /// Root resets the counts with an installer of its own, without a limit. An agent that keeps the listener busy does not
    /// prevent it.
    @Test(.enabled(if: getuid() == 0, "the test is the operator"))
    func rootAsksTheInstallerItself() async throws {
        let device = try await recorder()
        let counts = #"{"format":2,"versions":[{"attempts":3,"reboots":0,"resets":3,"versionCode":2}]}"#
        try device.scratch.write("state/installer/attempts.json", counts)
        try await withListener(device) { listener in
            let path = await listener.path
            let job = try await device.job(2, version: 2, artifact: "artifact-file")
            guard case .failed(let reason, _) = await listener.send(.install(job)) else {
                Issue.record("it is not blocked")
                return
            }
            #expect(reason.hasSuffix("upgradelinkctl retry 2 as root"), "\(reason)")
            let silent = try (0..<30).compactMap { _ in
                do throws(SystemError) {
                    return try LocalSocket(connectingTo: path)
                } catch {
                    if error.code == EAGAIN { return nil }
                    throw error
                }
            }
            #expect(silent.count > StartBudget.atOnce)
            #expect(
                try InstallerClient.ask(
                    .forgetAttempts(versionCode: 2), startingAt: "\(programsDirectory)/upgradelink-installer",
                    arguments: ["--root", device.scratch.path], within: 20) == .unknown)
            withExtendedLifetime(silent) {}
            #expect(await device.run(.install(job)).result == .committed)
        }
        #expect(throws: (any Error).self) {
            try InstallerClient.ask(
                .resume(1), startingAt: "\(device.scratch.path)/none", arguments: [], within: 1)
        }
    }

    /// A flood of connections, first of a user without rights and then of the agent's own user, costs a few lines of log and a
    /// bounded number of processes. The next request is handled.
    @Test(.enabled(if: getuid() == 0, "only root can be another user"))
    func aFloodOfConnectionsCostsNothing() async throws {
        let device = try await recorder()
        chmod(device.scratch.path, 0o755)
        try await withListener(device) { listener in
            for user in ["65534", "0"] {
                let lines = await Attacker(.socket(listener.path)).run("flood", "20000", user)
                #expect((lines.last ?? "").contains("\"connected\""), "\(lines)")
            }
            _ = await Attacker(.socket(listener.path)).run("occupy", "500", "65534")
            let nonsense = await Attacker(.socket(listener.path)).run("occupy", "12", "0")
            #expect((nonsense.last ?? "").contains("not a message"), "\(nonsense)")
            #expect(await listener.send(.resume(1)) == .unknown)
            let job = try await device.job(2, version: 2, artifact: "artifact-file")
            #expect(await listener.send(.install(job)) == .committed)
        }
        let journal = try device.scratch.read("journal").split(separator: "\n")
        let refusals = journal.filter { $0.hasPrefix("<4>") }
        #expect(refusals.count <= 8, "\(refusals)")
        #expect(refusals.contains { $0.contains("user 65534 may not request installations") }, "\(refusals)")
        #expect(refusals.contains { $0.contains("more were refused like this before") }, "\(refusals)")
    }

    /// The state of a module that must not be interrupted is waited for. The installation then stops, and the next request resumes it.
    @Test func atSIGTERMTheInstallationStopsAfterTheState() async throws {
        let device = try await recorder()
        try device.scratch.write("control/wait-ArtifactInstall", "")
        try device.scratch.write("modules/recorder.uninterruptible", "")
        let job = try await device.job(2, version: 2, artifact: "artifact-file")
        let listener = try await InstallerListener(root: device.scratch.path)
        async let result = listener.send(.install(job))
        #expect(
            await eventually { (try? device.scratch.read("control/log"))?.contains("ArtifactInstall") == true })
        await listener.terminateGently()
        try await Task.sleep(for: .seconds(1))
        #expect(await listener.end == nil, "it waits")
        try Files.remove("\(device.scratch.path)/control/wait-ArtifactInstall")
        guard case .lost(let reason) = await result else {
            Issue.record("the installation did not stop")
            return
        }
        #expect(reason.contains("it was told to stop, and resumes later"), "\(reason)")
        #expect(await eventually { await listener.end == .exited(0) })
        let states = try device.scratch.read("control/log")
        #expect(!states.contains("ArtifactCommit"), "\(states)")
        try Files.remove(await listener.path)
        let next = try await InstallerListener(root: device.scratch.path)
        #expect(await next.send(.resume(2)) == .committed)
        let all = try device.scratch.read("control/log")
        #expect(all.ranges(of: "ArtifactInstall").count == states.ranges(of: "ArtifactInstall").count, "\(all)")
        #expect(!all.contains("ArtifactRollback"), "\(all)")
        await next.terminateGently()
        #expect(await eventually { await next.end == .exited(0) })
    }

    @Test func theListenerEndsIfThereIsNothingToDo() async throws {
        let device = try await recorder()
        let listener = try await InstallerListener(root: device.scratch.path)
        #expect(await listener.send(.resume(1)) == .unknown)
        #expect(await eventually(within: 40) { await listener.end == .exited(0) })
    }

    @Test func theListenerNeedsASocket() async throws {
        let device = try await recorder()
        let installer = "\(programsDirectory)/upgradelink-installer"
        for environment in [
            "", "LISTEN_PID=$$ LISTEN_FDS=1", "LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_PID=$$ LISTEN_FDS=x",
        ] {
            let script = "\(environment) exec \(installer) --listen --root \(device.scratch.path) 3</dev/null"
            let (_, errors, end) = await Program("/bin/sh", ["-c", script], streams: .captured, timeLimit: 20).run()
            #expect(end == .exited(64))
            #expect(errors.contains { $0.contains("--listen needs a listening socket") }, "\(errors)")
        }
    }
}

/// How many installers are started, at moments that the test chooses.
@Suite struct StartBudgetTests {
    private func at(_ seconds: Double) -> BootInstant { BootInstant(100 + seconds) }

    @Test func aBurstAndThenOneEachSecond() {
        var budget = StartBudget(now: at(0))
        for _ in 0..<StartBudget.burst {
            #expect(budget.delay(now: at(0)) == 0)
            budget.countStart(now: at(0))
            budget.countEnd()
        }
        #expect(budget.delay(now: at(0)) == 1)
        #expect(budget.delay(now: at(0.75)) == 0.25)
        #expect(budget.delay(now: at(1)) == 0)
        budget.countStart(now: at(1))
        budget.countEnd()
        #expect(budget.delay(now: at(1)) == 1)
        // Rest refills it, but not above the burst.
        #expect(budget.delay(now: at(100_000)) == 0)
        for _ in 0..<StartBudget.burst {
            budget.countStart(now: at(100_000))
            budget.countEnd()
        }
        #expect(budget.delay(now: at(100_000)) == 1)
    }

    @Test func onlyAFewAtTheSameTime() {
        var budget = StartBudget(now: at(0))
        for _ in 0..<StartBudget.atOnce { budget.countStart(now: at(0)) }
        #expect(budget.delay(now: at(1000)) == nil)
        budget.countEnd()
        #expect(budget.delay(now: at(1000)) == 0)
    }

    @Test func refusalsAreCounted() {
        var count = RefusalCount()
        #expect(count.add("no", now: at(0)) == "no")
        for _ in 0..<228_000 { #expect(count.add("no", now: at(1)) == nil) }
        #expect(count.rest == "228000 more were refused like this before")
        #expect(count.add("no", now: at(61)) == "no; 228000 more were refused like this before")
        #expect(count.rest == nil)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int {
        split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}
