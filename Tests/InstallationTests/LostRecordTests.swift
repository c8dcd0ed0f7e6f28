import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// Whatever is lost of what the installer and the agent have stored, the device returns to the version that worked, and a
/// version that fails does not reboot it for ever.
@Suite struct LostRecordTests {
    private typealias Recorded = RestartTests.Recorded

    private func record(_ boots: Recorded) -> String { "\(boots.scratch.path)/state/installer/installation.json" }

    static let damages = [
        "", "{", "[]", "null", "{}", #"{"job":{"id":1}}"#, String(repeating: "\0", count: 512),
        #"{"format":2,"x":""# + String(repeating: "x", count: 300_000) + #""}"#,
    ]

    /// Each kind of damage, in the boot after the reboot into the new version.
    @Test(arguments: damages)
    func aRecordThatCannotBeReadLeadsBack(content: String) async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        try Files.replace(record(boots), with: Array(content.utf8))
        #expect(try await boots.start("b") == .rebooting)
        #expect(Files.exists(record(boots) + ".damaged"))
        let reason = InstallResult.rolledBack("the record of its installation could not be read")
        #expect(try await boots.start("c") == reason)
        #expect(try boots.chain == "Download Install Rollback SystemReboot VerifyRollbackReboot Failure Cleanup")
        #expect(try boots.scratch.read("version") == "VERSION_CODE=1\n")
        // The agent hears of it, and a newer version is installed as ever.
        #expect(try await boots.boot("c", .resume(1)) == reason)
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        #expect(try await boots.boot("c", .install(next)) == .needsReboot(isRollback: false))
    }

    /// The real installer is killed in a state, and finds its record damaged when it starts next.
    @Test(arguments: [
        ("Download", nil), ("ArtifactInstall", nil), ("ArtifactCommit", nil), ("ArtifactRollback", "ArtifactCommit"),
        ("ArtifactFailure", "ArtifactCommit"),
    ])
    func aRecordLostInTheMiddleOfAStateLeadsBack(state: String, fails: String?) async throws {
        let device = try await RecorderDevice(
            .init(name: "", reboot: "No", fails: fails, killed: state, chain: "", result: .rolledBack)
        ).device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        guard case .lost = await device.run(.install(job)).result else {
            Issue.record("it was not killed")
            return
        }
        try device.scratch.write("state/installer/installation.json", "{\"job\":")
        guard case .rolledBack = await device.run(.resume(1)).result else {
            Issue.record("not rolled back")
            return
        }
        #expect(try device.scratch.read("version") == "VERSION_CODE=1\n")
        #expect(try device.scratch.read("control/log").contains("ArtifactRollback\n"))
    }

    /// The same after the commit.
    @Test func aRecordLostInCleanupLeavesTheNewVersion() async throws {
        let device = try await RecorderDevice(
            .init(name: "", reboot: "No", killed: "Cleanup", chain: "", result: .committed)
        ).device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        guard case .lost = await device.run(.install(job)).result else {
            Issue.record("it was not killed")
            return
        }
        try device.scratch.write("state/installer/installation.json", "{\"job\":")
        #expect(await device.run(.resume(1)).result == .unknown)
        #expect(try device.scratch.read("version") == "VERSION_CODE=2\n")
        #expect(try !device.scratch.read("control/log").contains("Rollback"))
    }

    /// 0.1.0 left no note in the tree: its header says which version and which module it is of.
    @Test func aTreeOfAnOlderVersionLeadsBackToo() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        try Files.remove("\(boots.scratch.path)/state/installer/tree/installation.json")
        try Files.replace(record(boots), with: [])
        #expect(try await boots.start("b") == .rebooting)
        guard case .rolledBack? = try await boots.start("c") else {
            Issue.record("not rolled back")
            return
        }
        // The agent knows an id, and the installer none.
        guard case .rolledBack = try await boots.boot("c", .resume(4711)) else {
            Issue.record("not told")
            return
        }
    }

    // MARK: the module

    /// The new version's configuration names another module: the one that began the installation ends it.
    @Test func theModuleThatBeganGetsEveryState() async throws {
        var boots = try await Recorded(fails: "ArtifactCommit")
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        try boots.scratch.write("modules/other", "#!/bin/sh\necho other $1 >>\(boots.scratch.path)/other\n", mode: 0o755)
        boots.boots.settings.module = "other"
        #expect(try await boots.start("b") == .rebooting)
        guard case .rolledBack? = try await boots.start("c") else {
            Issue.record("not rolled back")
            return
        }
        #expect(
            try boots.chain
                == "Download Install VerifyReboot Commit Rollback SystemReboot VerifyRollbackReboot Failure Cleanup")
        #expect(!boots.scratch.exists("other"))
        // The next installation is the other's.
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        _ = try await boots.boot("c", .install(next))
        #expect(try boots.scratch.read("other").hasPrefix("other Download\n"))
    }

    /// Nor does the module's name depend on a record of 0.1.0, which has none.
    @Test func aRecordWithoutAModuleGoesByItsTree() async throws {
        var boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        var found = try #require(try StoredFile.read(InstallRecord.self, from: record(boots), limit: 1 << 20)?.value)
        found.module = nil
        try StoredFile.write(found, to: record(boots), limit: 1 << 20)
        boots.boots.settings.module = "other"
        #expect(try await boots.start("b") == .committed)
        #expect(try boots.chain == "Download Install VerifyReboot Commit Cleanup")
    }

    /// The update removed its own module: that is seen, and is no success.
    @Test func aModuleThatIsGoneIsAFailure() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        try boots.scratch.write("modules/other", "#!/bin/sh\n", mode: 0o755)
        var renamed = boots
        renamed.boots.settings.module = "other"
        try Files.remove("\(boots.scratch.path)/modules/recorder")
        guard case .failed(let reason)? = try await renamed.start("b") else {
            Issue.record("not a failure")
            return
        }
        #expect(reason.contains("there is no update module \"recorder\""), "\(reason)")
    }

    // MARK: attempts

    /// One whole installation of a version that fails after its reboot, ordered by an agent that remembers nothing.
    private func failingInstallation(_ boots: Recorded, _ id: InstallID) async throws -> InstallResult? {
        let job = try await boots.recorder.device.job(id, version: 2, artifact: "artifact-file")
        var result: InstallResult? = try await boots.boot("\(id)a", .install(job))
        guard result == .needsReboot(isRollback: false) else { return result }
        result = try await boots.boot("\(id)a", .reboot(id))
        #expect(result == .rebooting)
        result = try await boots.start("\(id)b")
        #expect(result == .rebooting)
        return try await boots.start("\(id)c")
    }

    private func reboots(_ boots: Recorded) throws -> Int {
        try boots.chain.split(separator: " ").count { $0 == "VerifyReboot" }
    }

    /// - Parameter lost: what is gone before each new try.
    @Test(arguments: [[], ["attempts.json"], ["installation.json"], ["attempts.json garbled"], ["installation.json garbled"]])
    func aVersionThatFailsRebootsTheDeviceThreeTimesAtMost(lost: [String]) async throws {
        for attempts in [3, 100] {
            var boots = try await Recorded(fails: "ArtifactVerifyReboot")
            boots.boots.settings.attempts = attempts
            var last: InstallResult?
            for id in 1...6 {
                last = try await failingInstallation(boots, id)
                for name in lost {
                    let words = name.split(separator: " ")
                    let path = "\(boots.scratch.path)/state/installer/\(words[0])"
                    if words.count > 1 { try Files.replace(path, with: [0x7B]) } else { try Files.remove(path) }
                }
            }
            #expect(try reboots(boots) == 3)
            guard case .failed(let reason)? = last else {
                Issue.record("\(String(describing: last))")
                return
            }
            #expect(reason.hasPrefix("versionCode 2 is blocked after 3 "), "\(reason)")
            #expect(reason.contains("upgradelinkctl retry 2"))
            // A newer version has its own count.
            let next = try await boots.recorder.device.job(7, version: 3, artifact: "artifact-file")
            #expect(try await boots.boot("7", .install(next)) == .needsReboot(isRollback: false))
        }
    }

    @Test func anOperatorsRetryResetsTheCount() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        for id in 1...4 { _ = try await failingInstallation(boots, id) }
        #expect(try reboots(boots) == 3)
        #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2)) == .unknown)
        guard case .rolledBack? = try await failingInstallation(boots, 5) else {
            Issue.record("it is not tried again")
            return
        }
        #expect(try reboots(boots) == 4)
    }

    /// A version that was committed at last does not leave a count behind.
    @Test func aCommitResetsTheCount() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        for id in 1...2 { _ = try await failingInstallation(boots, id) }
        try Files.remove("\(boots.scratch.path)/control/fail-ArtifactVerifyReboot")
        let job = try await boots.recorder.device.job(3, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("3a", .install(job)) == .needsReboot(isRollback: false))
        #expect(try await boots.start("3b") == .committed)
        let stored = try StoredFile.read(
            InstallAttempts.self, from: "\(boots.scratch.path)/state/installer/attempts.json", limit: 1 << 20)
        #expect(stored?.value.versions == [])
    }

    /// What never began is no attempt: a forged file, or a full disk, blocks no version.
    @Test func whatNeverBeganIsNotCounted() async throws {
        let boots = try await Recorded()
        for id in 1...5 {
            var job = try await boots.recorder.device.job(id, version: 2, artifact: "artifact-file")
            job.offer = try InstallerDevice.offer(9)
            guard case .refused = try await boots.boot("a", .install(job)) else {
                Issue.record("a forged file is installed")
                return
            }
        }
        #expect(!boots.scratch.exists("state/installer/attempts.json"))
    }
}
