import Configuration
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation
@testable import InstallerProgram

/// Each option of the configuration reaches the installer.
@Suite struct InstallSettingsTests {
    private static let text = """
        [device]
        urlKey = "device"
        versionCode = 1
        devModelKey = "model"
        appointVersionCode = 3
        [verification]
        keysDirectory = "/"
        [download]
        directory = "/staging"
        sizeLimit = 7000
        keepCache = 5000
        [install]
        module = "own"
        moduleDirectories = ["/a", "/b"]
        fileName = "payload"
        files = { one = "1" }
        metaData = { value = 42 }
        timeout = 61
        timeouts = { Download = 62 }
        attempts = 5
        rebootCommand = ["/sbin/reboot", "-f"]
        rebootTimeout = 63
        inhibitLimit = 64
        healthProgram = ["/bin/check", "-x"]
        healthUnits = ["a.service"]
        healthSettle = 9
        healthTimeout = 65
        restartUnits = ["b.service"]
        network = true
        [state]
        installerDirectory = "/var/own"

        """

    private func settings(_ text: String) throws -> InstallSettings {
        let scratch = try Scratch()
        try scratch.write("etc/upgradelinkd/upgradelinkd.toml", text)
        return InstallSettings(try Settings.load(root: scratch.path, environment: [:]))
    }

    @Test func eachOptionIsTaken() throws {
        let settings = try settings(Self.text)
        #expect(settings.urlKey == "device" && settings.devModelKey == "model" && settings.appointVersionCode == 3)
        #expect(settings.module == "own" && settings.moduleDirectories == ["/a", "/b"])
        #expect(settings.fileName == "payload" && settings.files == ["one": "1"])
        #expect(settings.metaData == "{\"value\":42}")
        #expect(settings.timeout == 61 && settings.timeouts == ["Download": 62] && settings.attempts == 5)
        #expect(settings.rebootCommand == ["/sbin/reboot", "-f"])
        #expect(settings.rebootTimeout == 63 && settings.inhibitLimit == 64)
        #expect(settings.sizeLimit == 7000 && settings.keepCache == 5000 && settings.stagingDirectory == "/staging")
        #expect(
            settings.health
                == HealthCheck(program: ["/bin/check", "-x"], units: ["a.service"], settleTime: 9, timeLimit: 65))
        #expect(settings.restartUnits == ["b.service"] && settings.needsNetwork)
    }

    @Test func aRollbackKeepsWhatItNeeds() throws {
        let settings = try settings(Self.text)
        let rollback = try JSONLine.decode(
            RollbackSettings.self, from: Array(try JSONLine.encode(RollbackSettings(settings)).dropLast()))
        let restored = InstallSettings(rollback, module: "own")
        #expect(restored.module == "own" && restored.moduleDirectories == ["/a", "/b"])
        #expect(restored.timeout == 61 && restored.timeouts == ["Download": 62])
        #expect(restored.rebootCommand == ["/sbin/reboot", "-f"] && restored.needsNetwork)
        #expect(restored.restartUnits == ["b.service"] && restored.health.units == ["a.service"])
        var earlier = rollback
        (earlier.restartUnits, earlier.healthUnits) = (nil, nil)
        let other = InstallSettings(earlier, module: "own")
        #expect(other.restartUnits == [] && other.health.units == ["upgradelinkd.service"])
    }

    /// The pin of the configuration, with the real installer.
    @Test func theInstallerKnowsThePinnedVersion() async throws {
        let device = try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed)).device
        let path = "\(device.scratch.path)/etc/upgradelinkd/upgradelinkd.toml"
        let text = try device.scratch.read("etc/upgradelinkd/upgradelinkd.toml")
        try Files.replace(
            path, with: Array(text.replacing("[device]\n", with: "[device]\nappointVersionCode = 2\n").utf8))
        try device.scratch.write("version", "VERSION_CODE=5\n")
        func result(_ id: InstallID, _ version: Int) async throws -> InstallResult {
            await device.run(.install(try await device.job(id, version: version, artifact: "artifact-file"))).result
        }
        guard case .refused(_, code: .abovePin) = try await result(1, 6) else {
            Issue.record("not refused")
            return
        }
        guard case .refused(_, code: .notNewer) = try await result(2, 1) else {
            Issue.record("not refused")
            return
        }
        #expect(try await result(3, 2) == .committed)
        #expect(try device.scratch.read("version") == "VERSION_CODE=2\n")
    }

    /// An installer of another application installs nothing, and one that is not told to end its tries does not.
    @Test func theInstallerKnowsTheLimitOfAttempts() async throws {
        let device = try await RecorderDevice(
            .init(name: "", reboot: "No", fails: "ArtifactCommit", chain: "", result: .rolledBack)
        ).device
        let path = "\(device.scratch.path)/etc/upgradelinkd/upgradelinkd.toml"
        let text = try device.scratch.read("etc/upgradelinkd/upgradelinkd.toml")
        try Files.replace(path, with: Array(text.replacing("[install]\n", with: "[install]\nattempts = 1\n").utf8))
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        guard case .rolledBack = await device.run(.install(job)).result else {
            Issue.record("not rolled back")
            return
        }
        var again = job
        again.id = 2
        guard case .failed(let reason, code: .blocked) = await device.run(.install(again)).result else {
            Issue.record("not blocked")
            return
        }
        #expect(reason.hasPrefix("versionCode 2 is blocked after 1 failed or repeated installation;"), "\(reason)")
    }
}

/// The file tree of an installation, as the recovery reads it.
@Suite struct FileTreeTests {
    private let scratch: Scratch
    private let tree: FileTree

    init() throws {
        scratch = try Scratch()
        tree = FileTree(path: "\(scratch.path)/tree")
    }

    private let settings = InstallSettings(
        module: "m", moduleDirectories: [], fileName: "artifact", files: ["one": "1"], metaData: "{}", timeout: 60,
        timeouts: [:], rebootCommand: [], urlKey: "k", devModelKey: "model")

    private func create(_ version: Int = 2) throws {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: version)
        try tree.create(
            for: InstallJob(id: 7, offer: offer, sidecar: "s"), settings,
            installed: .known(versionCode: 1, versionName: nil))
    }

    @Test func aNewTreeHasNothingOfTheOldOne() throws {
        try scratch.write("tree/tmp/old", "x")
        try scratch.write("tree/committed", "x")
        try create()
        #expect(try Files.list("\(scratch.path)/tree/tmp") == [] && !tree.isCommitted)
        #expect(try scratch.read("tree/current_artifact_name") == "k-1")
        #expect(try scratch.read("tree/current_device_type") == "model")
        #expect(try scratch.read("tree/files/one") == "1" && scratch.read("tree/header/artifact_name") == "k-2")
        #expect(
            try scratch.read("tree/header/header-info").contains("\"artifact_depends\":{\"device_type\":[\"model\"]}"))
    }

    @Test func theTreeKnowsItsInstallation() throws {
        #expect(tree.installation() == nil && !tree.hasNote && tree.module == nil)
        try create()
        let found = try #require(tree.installation())
        #expect(found.job.id == 7 && found.job.offer.versionCode == 2 && found.module == "m" && tree.hasNote)
        #expect(found.job.sidecar == nil && tree.rollbackSettings == RollbackSettings(settings))
        // 0.1.0 stored no note.
        try Files.remove("\(scratch.path)/tree/installation.json")
        let earlier = try #require(tree.installation())
        #expect(earlier.job.id == InstallJob.unknownID && earlier.job.offer.urlKey == "k" && earlier.module == "m")
        #expect(!tree.hasNote && tree.rollbackSettings == nil)
        for (name, version) in [("a-b-30", 30), ("k-1", 1), ("k-0", nil), ("k-", nil), ("k", nil), ("", nil)]
            as [(String, Int?)]
        {
            try scratch.write("tree/header/artifact_name", name)
            #expect(tree.installation()?.job.offer.versionCode == version, "\(name)")
        }
        try scratch.write("tree/header/artifact_name", "a-b-30")
        #expect(tree.installation()?.job.offer.urlKey == "a-b")
    }

    @Test func aCommittedTreeIsNotRolledBack() throws {
        try create()
        var floor = VersionFloor()
        floor.raise("k", to: 9)
        try tree.prepareCommit(floor)
        #expect(!tree.isCommitted && tree.committedFloor == nil && tree.installation() != nil)
        try tree.noteCommit()
        #expect(tree.isCommitted && tree.installation() == nil && tree.committedFloor == floor)
        // Again, as after a power cut.
        try tree.noteCommit()
        #expect(tree.isCommitted && tree.committedFloor == floor)
        try tree.remove()
        #expect(!Files.exists(tree.path))
        // Nothing was prepared: the mark counts nevertheless.
        try create()
        try tree.noteCommit()
        #expect(tree.isCommitted && tree.committedFloor == nil)
    }

    @Test func whatWasStagedIsNotedUntilItIsCopied() throws {
        try create()
        #expect(tree.staged == nil)
        let place = StagedArtifact(directory: "/d", name: "2.artifact", adoptedName: "artifact")
        try tree.noteStaged(place)
        #expect(tree.staged == place)
        try tree.noteStaged(nil)
        #expect(tree.staged == nil)
        #expect(tree.artifactPath(settings) == "\(scratch.path)/tree/files/artifact")
    }
}
