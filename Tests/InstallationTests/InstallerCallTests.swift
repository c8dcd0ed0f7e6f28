import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The real installer: what it stores, and in which order, and that only one of them runs.
@Suite struct InstallerCallTests {
    private func run(
        _ device: InstallerDevice, _ request: InstallRequest
    ) async throws -> (result: InstallResult, log: CallLog) {
        let log = try CallLog(device.scratch)
        let (_, result) = await InstallerClient.Route.program(
            "/usr/bin/env",
            arguments: log.assignments + ["\(programsDirectory)/upgradelink-installer", "--root", device.scratch.path]
        ).send(request, timeLimit: 60)
        return (result, log)
    }

    private static let state = "state/installer"

    private static func stored(_ name: String) -> [String] {
        let path = "\(state)/\(name)"
        return ["sync \(path).new", "rename \(path).new -> \(path)", "sync \(Files.directory(of: path))"]
    }

    /// Steps, in this order, among others.
    private func expect(_ log: CallLog, _ steps: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        var rest = steps[...]
        for call in log.calls where call.description == rest.first { rest = rest.dropFirst() }
        #expect(rest.isEmpty, "\(log.calls)", sourceLocation: sourceLocation)
    }

    /// The tree ends with the installation. If the artifact's new name is lost, it is downloaded again.
    private static func isExcused(_ call: CallLog.Call) -> Bool {
        if call.what == "link", call.path == "\(state)/tree/files/payload" { return true }
        return call.what == "remove" && (call.path.hasPrefix("\(state)/tree") || call.path.hasSuffix(".new"))
    }

    private func complaints(_ log: CallLog) -> [String] {
        log.complaints(except: Self.isExcused).filter { !$0.contains("control/") && !$0.hasPrefix("version ") }
    }

    private static let adopts = (try? Directory("/tmp"))?.handle.hasReliableLeases == true

    @Test(.enabled(if: adopts, "/tmp keeps no reliable leases")) func aCommittedVersionIsOnTheDisk() async throws {
        let device = try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed)).device
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        let (result, log) = try await run(device, .install(job))
        #expect(result == .committed)
        #expect(complaints(log) == [], "\(log.calls)")
        let tree = "\(Self.state)/tree"
        let record = Self.stored("installation.json")
        // The record comes before what it says, and before the copies of its counts.
        let steps: [[String]] = [
            record, Self.stored("tree/installation.json"), Self.stored("tree/staged.json"),
            [
                "link \(tree)/files/payload", "change \(tree)/files/payload", "remove staging/2.artifact",
                "sync staging",
            ],
            record, Self.stored("attempts.json"), Self.stored("tree/committing"),
            ["rename \(tree)/committing -> \(tree)/committed", "sync \(tree)"],
            record, Self.stored("attempts.json"), Self.stored("floor.json"),
            ["remove \(tree)/installation.json", "remove \(tree)/committed"], record,
        ]
        expect(log, steps.flatMap { $0 })
    }

    @Test(.enabled(if: adopts, "/tmp keeps no reliable leases")) func whatIsGivenBackIsOnTheDisk() async throws {
        let device = try await RecorderDevice(
            .init(name: "", reboot: "No", fails: "ArtifactInstall", chain: "", result: .rolledBack)
        ).device
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        let (result, log) = try await run(device, .install(job))
        guard case .rolledBack = result else {
            Issue.record("\(result)")
            return
        }
        #expect(complaints(log) == [], "\(log.calls)")
        expect(
            log,
            [
                "change \(Self.state)/tree/files/payload", "link staging/2.artifact", "sync staging",
                "remove \(Self.state)/tree/files/payload",
            ])
        // What is not what was signed is removed.
        try device.scratch.write("staging/3.artifact", "signed\n")
        let forged = try await device.job(2, version: 3, artifact: "staging/3.artifact")
        try Files.replace(forged.artifact.path, with: Array("forged\n".utf8))
        let second = try await run(device, .install(forged))
        #expect(second.result == .refused("its content is not what was signed", code: .signatureInvalid))
        expect(second.log, ["remove staging/3.artifact", "sync staging", "remove \(Self.state)/tree/files/payload"])
    }

    // MARK: the lease

    /// Another process opens the artifact for writing while the module reads it.
    @Test(
        .enabled(if: adopts && getuid() == 0, "/tmp keeps no reliable leases"),
        arguments: ["Download", "ArtifactInstall"])
    func anArtifactThatIsOpenedForWritingIsNotInstalled(state: String) async throws {
        let device = try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed)).device
        try device.scratch.write("control/wait-\(state)", "")
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        async let run = device.run(.install(job))
        #expect(await eventually { (try? device.scratch.read("control/log"))?.hasSuffix("\(state)\n") == true })
        #expect(open("\(device.scratch.path)/state/installer/tree/files/payload", O_WRONLY | O_NONBLOCK) < 0)
        unlink("\(device.scratch.path)/control/wait-\(state)")
        #expect(
            await run.result
                == .rolledBack("another process opened the artifact for writing", code: .signatureInvalid))
        #expect(try device.scratch.read("control/log").contains("ArtifactInstall\n") == (state == "ArtifactInstall"))
    }

    // MARK: the lock

    /// A second installer waits for the first one, whatever it is asked for, and then finds its result.
    @Test func aSecondInstallerWaitsForTheFirst() async throws {
        let device = try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed)).device
        try device.scratch.write("control/wait-Download", "")
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        var other = job
        other.id = 2
        async let first = device.run(.install(job))
        #expect(await eventually { device.scratch.exists("control/log") })
        let ended = Ended()
        async let second = ended.note(device.run(.install(other)))
        async let third = ended.note(device.run(.resume(1)))
        // Both are there, and neither does anything.
        #expect(await eventually { installers(device) == 3 })
        #expect(await eventually(within: 0.4) { await ended.count > 0 } == false)
        #expect(try device.scratch.read("control/log") == "Download\n")
        unlink("\(device.scratch.path)/control/wait-Download")
        #expect(await first.result == .committed)
        guard case .refused(_, code: .notNewer) = await second.result else {
            Issue.record("\(await second.result)")
            return
        }
        #expect(await third.result == .committed)
        #expect(try device.scratch.read("control/log") == "Download\nArtifactInstall\nArtifactCommit\nCleanup\n")
    }

    private actor Ended {
        var count = 0
        func note(
            _ run: (result: InstallResult, states: [String], output: [String])
        ) -> (result: InstallResult, states: [String], output: [String]) {
            count += 1
            return run
        }
    }

    private func installers(_ device: InstallerDevice) -> Int {
        let wanted = Array("upgradelink-installer\0--root\0\(device.scratch.path)\0".utf8)
        return ((try? Files.list("/proc")) ?? []).count { name in
            guard pid_t(name) != nil, let bytes = try? Files.read("/proc/\(name)/cmdline", limit: 4096) else {
                return false
            }
            return bytes.count >= wanted.count && bytes.suffix(wanted.count).elementsEqual(wanted)
        }
    }
}
