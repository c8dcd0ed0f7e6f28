import Glibc
import Host
import TestSupport
import Testing

/// Which old file the module `file` keeps by a second name, and which one by a copy without its rights.
@Suite struct KeptFileTests {
    private let rig: ModuleRig

    init() throws {
        rig = try ModuleRig("file")
        try rig.scratch.write("artifact", "new")
    }

    /// - Parameter kept: the mode of the kept file.
    @Test(
        .enabled(if: isRoot),
        arguments: [
            (0o644, "100644", true), (0o755, "100755", true), (0o664, "100644", false), (0o646, "100644", false),
            (0o4755, "100755", false), (0o2755, "100755", false), (0o1755, "100755", false),
        ])
    func onlyAPlainFileOfRootsIsLinked(mode: Int, kept: String, isLinked: Bool) async throws {
        try rig.scratch.write("live/player", "old", mode: mode_t(mode))
        let old = rig.inode("live/player")
        try rig.newTree(["destination": "@ROOT@/live/player"])
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.read("live/player.old") == "old" && rig.status("live/player.old") == "\(kept) 0:0")
        #expect((rig.inode("live/player.old") == old) == isLinked)
        #expect(try await rig.run("ArtifactRollback").succeeded)
        // It has all of its rights again.
        #expect(rig.read("live/player") == "old")
        #expect(rig.status("live/player") == "10\(String(mode | 0o10000, radix: 8).dropFirst()) 0:0")
    }
}
