import Configuration
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation
@testable import InstallerProgram

/// If stored files of the installer or the agent are lost, the device rolls back to the version that worked. A version that
/// fails reboots the device three times at most.
@Suite struct LostRecordTests {
    private typealias Recorded = RebootTests.Recorded

    private func record(_ boots: Recorded) -> String { "\(boots.scratch.path)/state/installer/installation.json" }

    static let damages = [
        "", "{", "[]", "null", "{}", #"{"job":{"id":1}}"#, String(repeating: "\0", count: 512),
        #"{"format":2,"x":""# + String(repeating: "x", count: 300_000) + #""}"#,
    ]

    /// The record is damaged before the first boot of the new version.
    @Test(arguments: damages)
    func anUnreadableRecordLeadsToARollback(content: String) async throws {
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
        // The agent receives the result, and a newer version is installed.
        #expect(try await boots.boot("c", .resume(1)) == reason)
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        #expect(try await boots.boot("c", .install(next)) == .needsReboot(isRollback: false))
    }

    /// The record is removed, or something else has its name, before the first boot of the new version.
    @Test(.timeLimit(.minutes(2)), arguments: [nil] + Planted.allCases)
    func aMissingRecordLeadsToARollback(planted: Planted?) async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        try Files.remove(record(boots))
        // An old one is in the way, as a directory.
        try boots.scratch.write("state/installer/installation.json.damaged/old", "")
        try planted?.plant(at: record(boots))
        try boots.scratch.write("state/installer/installation.json.new/old", "")
        #expect(try await boots.start("b") == .rebooting)
        #expect(try await boots.start("c") == .rolledBack("the record of its installation could not be read"))
        #expect(try boots.scratch.read("version") == "VERSION_CODE=1\n")
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        try boots.scratch.write("control/new-version", "VERSION_CODE=3\n")
        #expect(try await boots.boot("c", .install(next)) == .needsReboot(isRollback: false))
        #expect(try await boots.start("d") == .committed)
    }

    /// The installer was interrupted before it began to modify the device, and the agent requests something else: nothing is
    /// rolled back.
    @Test func anInstallationThatHasNotBegunIsNotRolledBack() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        var found = try #require(try StoredFile.read(InstallRecord.self, from: record(boots), limit: 1 << 20)?.value)
        found.step = .prepare
        try StoredFile.write(found, to: record(boots), limit: 1 << 20)
        try Files.remove("\(boots.scratch.path)/control/log")
        #expect(try await boots.boot("a", .resume(1)) == .unknown)
        #expect(try await boots.start("b") == nil)
        #expect(!boots.scratch.exists("control/log") && !boots.scratch.exists("state/installer/tree"))
    }

    /// Something else has the name of another file of the installer, while it waits for a reboot. The update is committed, and so
    /// is the next one.
    @Test(
        .timeLimit(.minutes(2)),
        arguments: [
            "attempts.json", "floor.json", "attempts.json.new", "floor.json.new", "installation.json.new",
            "tree/installation.json", "tree/committing.new", "installation.json.damaged",
        ], Planted.allCases)
    func aPlantedFileDisablesNothing(name: String, planted: Planted) async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        let path = "\(boots.scratch.path)/state/installer/\(name)"
        try Files.removeTree(path)
        try planted.plant(at: path)
        #expect(try await boots.start("b") == .committed)
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        try boots.scratch.write("control/new-version", "VERSION_CODE=3\n")
        #expect(try await boots.boot("b", .install(next)) == .needsReboot(isRollback: false))
        #expect(try await boots.start("c") == .committed)
    }

    /// The real installer is killed in a state, and finds a damaged record at its next start.
    @Test(arguments: [
        ("Download", nil), ("ArtifactInstall", nil), ("ArtifactCommit", nil), ("ArtifactRollback", "ArtifactCommit"),
        ("ArtifactFailure", "ArtifactCommit"),
    ])
    func aRecordLostDuringAStateLeadsToARollback(state: String, fails: String?) async throws {
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

    /// After the commit a lost record does not lead to a rollback.
    @Test func aRecordLostInCleanupKeepsTheNewVersion() async throws {
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

    /// 0.1.0 stored no note in the file tree: the tree's header names the version and the module.
    @Test func aLostRecordOfAnOlderVersionLeadsToARollback() async throws {
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
        // The agent sends an id that the installer does not know.
        guard case .rolledBack = try await boots.boot("c", .resume(4711)) else {
            Issue.record("not reported")
            return
        }
    }

    // MARK: the module

    /// The new version's configuration names another module: the module that began the installation completes it.
    @Test func theModuleThatBeganTheInstallationGetsEveryState() async throws {
        var boots = try await Recorded(fails: "ArtifactCommit")
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        try boots.scratch.write(
            "modules/other", "#!/bin/sh\necho other $1 >>\(boots.scratch.path)/other\n", mode: 0o755)
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
        // The next installation uses the other module.
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        _ = try await boots.boot("c", .install(next))
        #expect(try boots.scratch.read("other").hasPrefix("other Download\n"))
    }

    /// A record of 0.1.0 does not name the module; the file tree does.
    @Test func theModuleOfARecordWithoutOneIsReadFromTheTree() async throws {
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

    /// The update removed its own module: the installation fails.
    @Test func aRemovedModuleIsAFailure() async throws {
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
        // Otherwise a lost record would lead to a rollback later.
        #expect(!boots.scratch.exists("state/installer/tree"))
    }

    /// The power fails between the commit and its record: the tree says that the version is committed.
    @Test func aCommitThatIsNotInTheRecordStays() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        var found = try #require(try StoredFile.read(InstallRecord.self, from: record(boots), limit: 1 << 20)?.value)
        found.step = .module(.commit)
        try StoredFile.write(found, to: record(boots), limit: 1 << 20)
        try boots.scratch.write("state/installer/tree/committed", "")
        #expect(try await boots.start("b") == .committed)
        #expect(try boots.chain == "Download Install Cleanup")
    }

    /// 0.1.0 stored a record without a count on the way: the count that is in the other file stays.
    @Test func aRecordWithoutACountDoesNotResetIt() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        for id in 1...2 { _ = try await failingInstallation(boots, id) }
        let job = try await boots.recorder.device.job(3, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("3a", .install(job)) == .needsReboot(isRollback: false))
        var found = try #require(try StoredFile.read(InstallRecord.self, from: record(boots), limit: 1 << 20)?.value)
        found.attempts = InstallAttempts()
        try StoredFile.write(found, to: record(boots), limit: 1 << 20)
        #expect(try await boots.start("3b") == .rebooting)
        let stored = try StoredFile.read(
            InstallAttempts.self, from: "\(boots.scratch.path)/state/installer/attempts.json", limit: 1 << 20)
        #expect(stored?.value.versions.map(\.attempts) == [3] && stored?.value.versions.map(\.reboots) == [3])
    }

    // MARK: the configuration

    /// An option of 0.1.0, a syntax error, a file that a power cut filled with zeros, an empty file, and a wrong value.
    static let configurations = [
        "[download]\nfolder = \"/var/cache/x\"\n", "[?", String(repeating: "\0", count: 100), "",
        "[install]\ntimeout = \"never\"\n",
    ]

    /// The new version does not accept the configuration: the real installer rolls back without it, at the next boot.
    @Test(arguments: configurations)
    func aConfigurationThatIsNotAcceptedDoesNotPreventARollback(text: String) async throws {
        let device = try await RecorderDevice(
            .init(name: "", reboot: "No", killed: "ArtifactCommit", chain: "", result: .rolledBack)
        ).device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        guard case .lost = await device.run(.install(job)).result else {
            Issue.record("the installer was not killed")
            return
        }
        // A drop-in names the state directory, with the option of this version or that of 0.1.0.
        let name = text.isEmpty ? "folder" : "directory"
        let file = "etc/upgradelinkd/upgradelinkd.toml"
        try device.scratch.write(file, text)
        try device.scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml.d/state.toml", "[state]\n\(name) = \"\(device.scratch.path)/state\"\n")
        let (_, errors, end) = await Program(
            "\(programsDirectory)/upgradelink-installer", ["--root", device.scratch.path, "--resume"],
            streams: .captured,
            timeLimit: 60
        ).run()
        #expect(end == .exited(0), "\(errors)")
        #expect(errors.contains { $0.contains("rolled back") }, "\(errors)")
        #expect(try device.scratch.read("version") == "VERSION_CODE=1\n")
        guard case .rolledBack = await device.run(.resume(1)).result else {
            Issue.record("the result is not reported")
            return
        }
    }

    /// The settings that stand in for those of an installation that 0.1.0 began are the defaults of the options.
    @Test func theStandardSettingsAreTheDefaults() throws {
        let scratch = try Scratch()
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml",
            "[device]\nurlKey = \"k\"\nversionCode = 1\n[verification]\nkeysDirectory = \"/\"\n")
        let settings = try Settings.load(root: scratch.path, environment: [:])
        #expect(RollbackSettings(InstallSettings(settings)) == .standard)
    }

    /// Without a readable configuration the installer also reboots the device to complete the rollback.
    @Test func aRollbackRebootsWithoutTheConfiguration() async throws {
        var boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        boots.boots.hasConfiguration = false
        #expect(try await boots.start("b") == .rebooting)
        guard case .rolledBack(let reason)? = try await boots.start("c") else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("no configuration"))
        #expect(try boots.chain == "Download Install Rollback SystemReboot VerifyRollbackReboot Failure Cleanup")
    }

    // MARK: attempts

    /// One whole installation of a version that fails after its reboot, requested by an agent that has lost its state.
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

    /// - Parameter lost: the files that are removed or damaged before each new attempt.
    @Test(arguments: [
        [], ["attempts.json"], ["installation.json"], ["attempts.json garbled"], ["installation.json garbled"],
    ])
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

    /// An agent that has been taken over cannot reboot the device for ever: it gets three resets, root as many as it wants.
    @Test func theAgentCanResetTheCountThreeTimesAndRootAlways() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        var id = 0
        func blocked() async throws -> String {
            while true {
                id += 1
                if case .failed(let reason)? = try await failingInstallation(boots, id) { return reason }
                #expect(id < 40)
            }
        }
        for _ in 1...3 {
            #expect(try await blocked().hasSuffix("upgradelinkctl retry 2"))
            #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2)) == .unknown)
            // Nothing is counted if there is nothing to reset.
            for _ in 1...5 { #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2)) == .unknown) }
        }
        #expect(try await blocked().hasSuffix("upgradelinkctl retry 2 as root"))
        #expect(try reboots(boots) == 12)
        // Losing one of the two copies does not help.
        for name in ["attempts.json", "installation.json"] {
            try Files.remove("\(boots.scratch.path)/state/installer/\(name)")
            guard case .refused(let reason) = try await boots.boot("x", .forgetAttempts(versionCode: 2)) else {
                Issue.record("a fourth reset")
                return
            }
            #expect(reason.contains("run upgradelinkctl retry 2 as root"), "\(reason)")
            _ = try await blocked()
        }
        #expect(try reboots(boots) == 12)
        for _ in 1...4 {
            #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2), isRoot: true) == .unknown)
            _ = try await blocked()
        }
        #expect(try reboots(boots) == 24)
    }

    /// The commit of a version resets its count.
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

    /// The installer was interrupted before the module began, and the agent repeats the request: nothing of what was checked then
    /// need be true any more.
    @Test func aRepeatedRequestIsCheckedAgain() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        let sidecar = try boots.scratch.read("artifact-file.minisig")
        let interrupted = InstallRecord(job: InstallJob(id: 1, offer: job.offer, sidecar: sidecar), bootID: "a")
        func repeated() async throws -> InstallResult {
            try Files.createDirectory("\(boots.scratch.path)/state/installer")
            try StoredFile.write(interrupted, to: record(boots), limit: 1 << 20)
            return try await boots.boot("b", .install(job))
        }
        try boots.scratch.write(
            "state/installer/attempts.json", #"{"format":2,"versions":[{"attempts":3,"reboots":0,"versionCode":2}]}"#)
        guard case .failed(let blocked) = try await repeated() else {
            Issue.record("the count is not checked")
            return
        }
        #expect(blocked.hasPrefix("versionCode 2 is blocked after 3 "), "\(blocked)")
        #expect(try await boots.boot("b", .forgetAttempts(versionCode: 2), isRoot: true) == .unknown)
        try boots.scratch.write("version", "VERSION_CODE=2\n")
        guard case .refused(let refused) = try await repeated() else {
            Issue.record("the installed version is not checked")
            return
        }
        #expect(refused.contains("is not above the installed 2"), "\(refused)")
        try boots.scratch.write("version", "VERSION_CODE=1\n")
        #expect(try await repeated() == .needsReboot(isRollback: false))
        #expect(try boots.chain == "Download Install")
    }

    /// A request that is refused before the installation begins is not counted.
    @Test func aRefusedRequestIsNotCounted() async throws {
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
