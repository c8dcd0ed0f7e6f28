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
        let reason = InstallResult.rolledBack("the record of its installation could not be read", code: .recordLost)
        #expect(try await boots.start("c") == reason)
        #expect(try boots.chain == "Download Install Rollback SystemReboot VerifyRollbackReboot Failure Cleanup")
        #expect(try boots.scratch.read("version") == "VERSION_CODE=1\n")
        // The agent receives the result, and a newer version is installed.
        #expect(try await boots.boot("c", .resume(1)) == reason)
        let next = try await boots.recorder.device.job(2, version: 3, artifact: "artifact-file")
        #expect(try await boots.boot("c", .install(next)) == .needsReboot(isRollback: false))
    }

    /// A shortage of open files is no damage.
    @Test func aRecordThatCannotBeOpenedNowIsKept() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        let before = try boots.scratch.read("state/installer/installation.json")
        let (result, _, _) = await boots.recorder.device.run(
            .resume(1),
            environment: [
                "LD_PRELOAD=\(programsDirectory)/libfaultydisk.so", "FAULT_PROGRAM=upgradelink-installer",
                "FAULT_DIRECTORY=\(record(boots))", "FAULT_AT=1", "FAULT_ERRNO=\(EMFILE)",
                "FAULT_TRACE=\(boots.scratch.path)/hit",
            ])
        #expect(boots.scratch.exists("hit"))
        #expect(try boots.scratch.read("state/installer/installation.json") == before, "\(result)")
        #expect(!boots.scratch.exists("state/installer/installation.json.damaged"))
        #expect(try await boots.start("b") == .committed)
    }

    /// Nothing says what is to be rolled back. The operator can look at the record, and it is not reported again.
    @Test func anUnreadableRecordWithoutAFileTreeIsSetAside() async throws {
        let boots = try await Recorded()
        try boots.scratch.write("state/installer/installation.json", "{")
        #expect(try await boots.boot("a", .resume(1)) == .unknown)
        #expect(!Files.exists(record(boots)))
        #expect(try boots.scratch.read("state/installer/installation.json.damaged") == "{")
    }

    /// The power failed between the note in the file tree and the record, which still names an interruption.
    @Test func aCommitThatTheRecordDoesNotHaveIsNoFailure() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        var found = try #require(try StoredFile.read(InstallRecord.self, from: record(boots), limit: 1 << 20)?.value)
        found.step = .module(.commit)
        (found.failure, found.failureCode) = ("it was interrupted", .interrupted)
        try StoredFile.write(found, to: record(boots), limit: 1 << 20)
        try boots.scratch.write("state/installer/tree/committed", "")
        #expect(try await boots.start("b") == .committed)
        #expect(try boots.chain == "Download Install Cleanup")
    }

    /// The installation was interrupted before it changed anything. Its record has the only copy of the counts and of the floor.
    @Test func theCountsOfARecordThatIsRemovedStay() async throws {
        let boots = try await Recorded()
        try boots.scratch.write(
            "state/installer/installation.json",
            """
            {"format":2,"bootID":"a","hasRestarted":false,"interruptions":0,"isBroken":false,"module":"recorder",
             "rollbackReboots":0,"step":{"prepare":{}},
             "attempts":{"versions":[{"versionCode":2,"attempts":2,"reboots":1}]},
             "floor":{"floors":[{"urlKey":"device","versionCode":4}]},
             "job":{"id":1,"offer":{"promptUpgradeContent":"","upgradeType":{"silent":{}},"urlKey":"device",
              "urlPath":"https://h/v2","versionCode":2,"versionName":"v2"}}}
            """)
        #expect(try await boots.boot("a", .resume(1)) == .unknown)
        #expect(!Files.exists(record(boots)))
        let attempts = try boots.scratch.read("state/installer/attempts.json")
        #expect(attempts.contains(#""attempts":2"#) && attempts.contains(#""reboots":1"#), "\(attempts)")
        #expect(try boots.scratch.read("state/installer/floor.json").contains(#""versionCode":4"#))
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
        #expect(
            try await boots.start("c")
                == .rolledBack("the record of its installation could not be read", code: .recordLost))
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
        guard case .failed(let reason, _)? = try await renamed.start("b") else {
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
        guard case .rolledBack(let reason, _)? = try await boots.start("c") else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("no configuration"))
        #expect(try boots.chain == "Download Install Rollback SystemReboot VerifyRollbackReboot Failure Cleanup")
    }
}
