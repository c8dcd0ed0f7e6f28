import Glibc
import Host
import Simulator
import TestSupport
import Testing

@testable import Modules

/// What the modules write is on the disk before anything depends on it: each sync, and its place in the sequence of calls.
@Suite struct ModuleSyncTests {
    /// What a state leaves to the end of the installation, which removes the whole tree.
    private static func isTemporary(_ call: CallLog.Call) -> Bool {
        call.what == "remove" && (call.path.contains("TEMPORARY") || call.path.hasSuffix(".new"))
    }

    // MARK: file

    private static let options = ["destination": "@ROOT@/live/player"]

    private func file(old: String? = "old", mode: mode_t = 0o640, _ options: [String: String] = [:]) throws -> ModuleRig
    {
        let rig = try ModuleRig("file")
        try rig.scratch.write("artifact", "new")
        if let old { try rig.scratch.write("live/player", old, mode: mode) }
        try rig.newTree(Self.options.merging(options) { $1 })
        return rig
    }

    @Test func theFileIsOnTheDiskBeforeItGetsItsName() async throws {
        let rig = try file()
        let log = try await rig.record("ArtifactInstall")
        #expect(log.complaints(except: Self.isTemporary) == [], "\(log.calls)")
        #expect(
            log.has(
                "rename live/TEMPORARY -> live/player.old", "sync live",
                "rename tree/tmp/before.new -> tree/tmp/before",
                "sync tree/files/artifact", "rename tree/tmp/moved.new -> tree/tmp/moved",
                "rename tree/tmp/replaces.new -> tree/tmp/replaces", "rename tree/files/artifact -> live/player",
                "sync live", "sync tree/files"), "\(log.calls)")
        // If the state begins again, the name is synced again: the first time, it may not have come so far.
        let again = try await rig.record("ArtifactInstall")
        #expect(again.calls.map(\.description) == ["sync live"], "\(again.calls)")
    }

    @Test func theCopyIsOnTheDiskBeforeItGetsItsName() async throws {
        // A second name of the artifact: it is copied.
        let rig = try file(mode: 0o660)
        try Files.link("\(rig.path)/tree/files/artifact", as: "\(rig.path)/second")
        let log = try await rig.record("ArtifactInstall")
        #expect(log.complaints(except: Self.isTemporary) == [], "\(log.calls)")
        #expect(
            log.has(
                "write live/TEMPORARY", "sync live/TEMPORARY", "rename live/TEMPORARY -> live/player.old", "sync live",
                "rename tree/tmp/owner.new -> tree/tmp/owner", "rename tree/tmp/mode.new -> tree/tmp/mode",
                "rename tree/tmp/before.new -> tree/tmp/before", "write live/TEMPORARY", "sync live/TEMPORARY",
                "rename tree/tmp/replaces.new -> tree/tmp/replaces", "rename live/TEMPORARY -> live/player", "sync live"
            ),
            "\(log.calls)")
        let back = try await rig.record("ArtifactRollback")
        #expect(back.complaints(except: Self.isTemporary) == [], "\(back.calls)")
        #expect(
            back.has(
                "write live/TEMPORARY", "sync live/TEMPORARY", "rename live/TEMPORARY -> live/player", "sync live"),
            "\(back.calls)")
        #expect(rig.read("live/player") == "old")
    }

    @Test(arguments: [true, false]) func theOldFileIsBackOnTheDisk(exists: Bool) async throws {
        let rig = try file(old: exists ? "old" : nil)
        try await rig.run("ArtifactInstall")
        let back = try await rig.record("ArtifactRollback")
        #expect(back.complaints(except: Self.isTemporary) == [], "\(back.calls)")
        if exists {
            #expect(
                back.has(
                    "link tree/files/artifact", "sync tree/files", "rename live/player.old -> live/player", "sync live"),
                "\(back.calls)")
        } else {
            #expect(back.has("link tree/files/artifact", "remove live/player", "sync live"), "\(back.calls)")
        }
        // An interrupted rollback may have renamed the file, and not synced that.
        let again = try await rig.record("ArtifactRollback")
        #expect(again.has("sync live"), "\(again.calls)")
    }

    @Test func theEndOfAnInstallationIsOnTheDisk() async throws {
        let rig = try file()
        try await rig.run("ArtifactInstall")
        let commit = try await rig.record("ArtifactCommit")
        #expect(
            commit.has(
                "sync tree/tmp/committed.new", "rename tree/tmp/committed.new -> tree/tmp/committed", "sync tree/tmp"))
        let end = try await rig.record("Cleanup")
        #expect(end.has("remove live/player.old", "sync live"), "\(end.calls)")
    }

    // MARK: directory

    @Test func theVersionIsOnTheDiskBeforeTheLinkPointsToIt() async throws {
        let rig = try ModuleRig("directory")
        try rig.scratch.write("content/version", "2", mode: 0o644)
        try await execute("tar", ["-cf", "artifact", "-C", "content", "version"], in: rig.path)
        try rig.newTree(["link": "@ROOT@/live"])
        let log = try await rig.record("ArtifactInstall")
        let newVersion = DirectoryModule.newVersion
        #expect(log.complaints(except: Self.isTemporary) == [], "\(log.calls)")
        #expect(
            log.has(
                "rename tree/tmp/before.new -> tree/tmp/before",
                "rename tree/tmp/\(newVersion).new -> tree/tmp/\(newVersion)",
                "sync live.versions/TEMPORARY/TEMPORARY/.upgradelink-version",
                "sync live.versions/TEMPORARY/TEMPORARY", "sync-all",
                "rename live.versions/TEMPORARY/TEMPORARY -> live.versions/device-2", "sync live.versions",
                "link TEMPORARY-link", "rename TEMPORARY-link -> live", "sync ."), "\(log.calls)")
        let back = try await rig.record("ArtifactRollback")
        #expect(back.has("remove live", "sync ."), "\(back.calls)")

        try rig.newTree(["link": "@ROOT@/live"])
        try await rig.run("ArtifactInstall")
        try await rig.run("ArtifactCommit")
        try rig.newTree(["link": "@ROOT@/live"], version: 3)
        try await rig.run("ArtifactInstall")
        let second = try await rig.record("ArtifactRollback")
        #expect(
            second.has(
                "remove tree/tmp/committed", "link TEMPORARY-link", "rename TEMPORARY-link -> live", "sync .",
                "rename live.versions/device-3 -> live.versions/TEMPORARY"), "\(second.calls)")
    }

    // MARK: image

    /// The slot is on the disk, and read back, before the bootloader gets it; until then it is marked as bad.
    @Test func theImageIsOnTheDiskBeforeItsSlotIsSelected() async throws {
        let rig = try ModuleRig("image")
        for (name, text) in [("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "good")] {
            try rig.scratch.write("boot/\(name)", "\(text)\n")
        }
        for slot in ["A", "B"] { try rig.scratch.write("slots/\(slot)", "old") }
        try rig.scratch.write("artifact", String(repeating: "new", count: 100_000))
        try rig.newTree([
            "slots": "A=@ROOT@/slots/A B=@ROOT@/slots/B",
            "bootloader": "\(ImageModuleTests.programs)/file \(rig.path)/boot",
        ])
        let log = try await rig.record("ArtifactInstall")
        #expect(log.complaints(except: Self.isTemporary) == [], "\(log.calls)")
        #expect(
            log.has(
                "sync tree/tmp/before.new", "rename tree/tmp/before.new -> tree/tmp/before", "sync tree/tmp",
                "sync tree/tmp/target.new", "rename tree/tmp/target.new -> tree/tmp/target", "sync tree/tmp",
                "rename boot/state-B.new -> boot/state-B", "sync boot", "write slots/B", "sync slots/B",
                "rename boot/state-B.new -> boot/state-B", "sync boot", "rename boot/primary.new -> boot/primary",
                "sync boot"), "\(log.calls)")
        let commit = try await rig.record("ArtifactCommit")
        #expect(commit.has("sync boot/state-B.new", "rename boot/state-B.new -> boot/state-B", "sync boot"))
        // The slot before is good again, although the bootloader may have counted the boot.
        let returned = try await rig.record("ArtifactVerifyRollbackReboot")
        #expect(returned.has("rename boot/state-A.new -> boot/state-A", "sync boot"), "\(returned.calls)")
        let back = try await rig.record("ArtifactRollback")
        #expect(
            back.has("rename boot/primary.new -> boot/primary", "sync boot", "rename boot/state-B.new -> boot/state-B"),
            "\(back.calls)")
    }
}
