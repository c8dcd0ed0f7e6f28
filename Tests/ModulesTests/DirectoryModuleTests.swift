import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The module `directory`, and attacks on it.
@Suite struct DirectoryModuleTests {
    private let rig: ModuleRig
    private let options = ["link": "@ROOT@/live"]

    init() throws {
        rig = try ModuleRig("directory")
        try rig.scratch.write("elsewhere/precious", "precious")
    }

    /// Packs a version, and creates the file tree that installs it.
    private func newTree(_ version: Int, _ options: [String: String]? = nil) async throws {
        let archive = "archive-\(version)"
        if !rig.scratch.exists(archive) {
            try rig.scratch.write("content/version", "\(version)", mode: 0o644)
            try await execute("tar", ["-czf", archive, "-C", "content", "version"], in: rig.path)
        }
        try rig.newTree(options ?? self.options, version: version, artifact: archive)
    }

    private var live: String? { rig.read("live/version") }

    private func versions(_ name: String = "live.versions") throws -> [String] { try rig.names(name) }

    @Test func versionsFollowEachOther() async throws {
        for version in 2...5 {
            try await newTree(version)
            try await rig.install()
            #expect(live == "\(version)")
        }
        #expect(try versions() == ["device-4", "device-5"])
        #expect(rig.status("live.versions/device-5").hasPrefix("40755 "))
        #expect(Files.linkTarget("\(rig.path)/live") == "\(rig.path)/live.versions/device-5")
        // A version that is installed again must not overwrite itself.
        for name in ["device-5.again", "device-5"] {
            try await newTree(5)
            try await rig.install()
            #expect(live == "5" && Files.linkTarget("\(rig.path)/live") == "\(rig.path)/live.versions/\(name)")
        }
    }

    @Test func aRollbackRestoresTheLink() async throws {
        try await newTree(2)
        #expect(try await rig.run("ArtifactRollback").succeeded, "nothing was installed")
        #expect(try await rig.run("ArtifactInstall").succeeded)
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(try rig.names("live.versions").isEmpty && rig.status("live").isEmpty)
        try await rig.run("ArtifactInstall")
        try await rig.run("ArtifactCommit")
        try await newTree(3)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(live == "3")
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(try await rig.run("Cleanup").succeeded)
        #expect(live == "2")
        #expect(try versions() == ["device-2"])
    }

    // MARK: interruptions

    @Test(arguments: [false, true])
    func anInstallationCanBeInterruptedAnywhere(again: Bool) async throws {
        try await newTree(2)
        try await rig.install()
        var call = 1
        while true {
            try await newTree(3)
            let isHit = try await rig.runKilled("ArtifactInstall", before: call)
            #expect(["2", "3"].contains(live), "call \(call)")
            if again {
                #expect(try await rig.run("ArtifactInstall").succeeded, "call \(call)")
                #expect(live == "3", "call \(call)")
            }
            #expect(try await rig.run("ArtifactRollback").succeeded, "call \(call)")
            #expect(live == "2", "call \(call)")
            #expect(try versions() == ["device-2"], "call \(call)")
            #expect(try rig.names(".").filter { $0.hasPrefix(".") }.isEmpty, "call \(call)")
            guard isHit else { break }
            call += 1
        }
        #expect(call > 10)
    }

    @Test(arguments: ["ArtifactRollback", "Cleanup"])
    func theOtherStatesCanBeInterruptedAnywhere(state: String) async throws {
        var call = 1
        while true {
            try Files.removeTree("\(rig.path)/live.versions")
            try Files.removeTree("\(rig.path)/live")
            for version in 2...3 {
                try await newTree(version)
                try await rig.install()
            }
            try await newTree(4)
            #expect(try await rig.run("ArtifactInstall").succeeded)
            if state == "Cleanup" { #expect(try await rig.run("ArtifactCommit").succeeded) }
            let isHit = try await rig.runKilled(state, before: call)
            #expect(["3", "4"].contains(live), "call \(call)")
            #expect(try await rig.run(state).succeeded, "call \(call)")
            #expect(live == (state == "Cleanup" ? "4" : "3"), "call \(call)")
            #expect(
                try versions() == (state == "Cleanup" ? ["device-3", "device-4"] : ["device-2", "device-3"]),
                "call \(call)")
            guard isHit else { break }
            call += 1
        }
        #expect(call > 3)
    }

    /// 0.2.0's script began an installation. This version rolls it back, or commits it and removes the versions later.
    @Test(arguments: [true, false]) func anInstallationOfAnEarlierReleaseEnds(isGood: Bool) async throws {
        for version in 1...3 { try rig.scratch.write("live.versions/device-\(version)/version", "\(version)") }
        chmod("\(rig.path)/live.versions", 0o755)
        symlink("\(rig.path)/live.versions/device-3", "\(rig.path)/live")
        try await newTree(3)
        try rig.scratch.write("tree/tmp/before", "\(rig.path)/live.versions/device-2\n")
        try rig.scratch.write("tree/tmp/folder", "\(rig.path)/live.versions/device-3\n")
        try rig.scratch.write("live.versions/device-3.new/version", "")
        guard isGood else {
            for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
            #expect(live == "2")
            #expect(try versions() == ["device-1", "device-2"])
            return
        }
        #expect(try await rig.run("ArtifactCommit").succeeded)
        #expect(try await rig.run("Cleanup").succeeded)
        #expect(live == "3")
        for version in 4...5 {
            try await newTree(version)
            try await rig.install()
        }
        // Nothing shows that the others are versions of this module.
        #expect(try versions() == ["device-1", "device-3.new", "device-4", "device-5"])
    }

    // MARK: attacks on the directories

    @Test func somethingInPlaceOfTheLinkIsNotReplaced() async throws {
        for kind in ["directory", "file"] {
            try Files.removeTree("\(rig.path)/live")
            try rig.scratch.write(kind == "file" ? "live" : "live/own", "x")
            try await newTree(2)
            let end = try await rig.run("ArtifactInstall")
            #expect(!end.succeeded)
            #expect(
                end.lastError == "directory: \(rig.path)/live exists and is not a symbolic link: move it away",
                "\(end.errors)")
            #expect(try await rig.run("ArtifactRollback").succeeded)
            #expect(rig.scratch.exists(kind == "file" ? "live" : "live/own"))
        }
    }

    /// Other directories next to the versions are not the module's, even if they have the names of versions.
    @Test func foreignDirectoriesStay() async throws {
        try Files.createDirectory("\(rig.path)/opt", mode: 0o755)
        try rig.scratch.write("opt/editor/bin", "x")
        try rig.scratch.write("opt/device-1/own", "x")
        try rig.scratch.write("opt/device-4/own", "x")
        symlink("\(rig.path)/elsewhere", "\(rig.path)/opt/linked")
        let options = ["link": "@ROOT@/opt/player", "versions": "@ROOT@/opt"]
        for version in 2...6 {
            try await newTree(version, options)
            try await rig.install()
            #expect(rig.read("opt/player/version") == "\(version)")
        }
        #expect(try rig.names("opt") == ["device-1", "device-4", "device-5", "device-6", "editor", "linked", "player"])
        #expect(rig.scratch.exists("opt/device-4/own") && rig.scratch.exists("elsewhere/precious"))
    }

    /// Marks that others planted do not make a directory the module's.
    @Test(.enabled(if: isRoot)) func plantedMarksAreNotTrusted() async throws {
        let mark = ".upgradelink-version"
        for name in ["owned", "planted", "linked", "hardlinked", "shared", "pipe"] {
            try rig.scratch.write("live.versions/\(name)/own", "x")
        }
        chmod("\(rig.path)/live.versions", 0o755)
        try rig.scratch.write("live.versions/owned/\(mark)", "x")
        rig.giveAway("live.versions/owned")
        try rig.scratch.write("live.versions/planted/\(mark)", "x")
        rig.giveAway("live.versions/planted/\(mark)")
        try rig.scratch.write("mark", "x")
        symlink("\(rig.path)/mark", "\(rig.path)/live.versions/linked/\(mark)")
        try Files.link("\(rig.path)/mark", as: "\(rig.path)/live.versions/hardlinked/\(mark)")
        try rig.scratch.write("live.versions/shared/\(mark)", "x")
        chmod("\(rig.path)/live.versions/shared", 0o777)
        mkfifo("\(rig.path)/live.versions/pipe/\(mark)", 0o600)
        for version in 2...5 {
            try await newTree(version)
            try await rig.install()
        }
        #expect(
            try versions() == [
                "device-4", "device-5", "hardlinked", "linked", "owned", "pipe", "planted", "shared",
            ])
    }

    /// The attack of the issue: a link in place of LINK.versions leads Cleanup to another directory.
    @Test(.enabled(if: isRoot)) func aPlantedVersionsLinkIsNotFollowed() async throws {
        try await newTree(2)
        try await rig.install()
        try await newTree(3)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(try await rig.run("ArtifactCommit").succeeded)
        rename("\(rig.path)/live.versions", "\(rig.path)/away")
        try rig.scratch.write("elsewhere/other/.upgradelink-version", "x")
        symlink("\(rig.path)/elsewhere", "\(rig.path)/live.versions")
        rig.giveAway("live.versions")
        symlink("\(rig.path)/away/device-3", "\(rig.path)/live.new")
        rename("\(rig.path)/live.new", "\(rig.path)/live")
        let end = try await rig.run("Cleanup")
        #expect(!end.succeeded && end.lastError.contains("is a symbolic link of user 65534"), "\(end.errors)")
        try await newTree(4)
        #expect(try await !rig.run("ArtifactInstall").succeeded)
        #expect(rig.scratch.exists("elsewhere/other") && rig.scratch.exists("elsewhere/precious"))
        #expect(try rig.names("elsewhere") == ["other", "precious"])
    }

    @Test(.enabled(if: isRoot), arguments: ["link", "versions"], [0o777, 0o1777, 0])
    func directoriesOfOthersAreRefused(option: String, mode: mode_t) async throws {
        try Files.createDirectory("\(rig.path)/shared", mode: 0o755)
        if mode != 0 { chmod("\(rig.path)/shared", mode) } else { rig.giveAway("shared") }
        symlink("\(rig.path)/elsewhere", "\(rig.path)/shared/live.new")
        symlink("\(rig.path)/elsewhere", "\(rig.path)/shared/device-2.new")
        let options =
            option == "link"
            ? ["link": "@ROOT@/shared/live", "versions": "@ROOT@/own"]
            : ["link": "@ROOT@/live", "versions": "@ROOT@/shared"]
        try await newTree(2, options)
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded && end.lastError.contains("install.files.\(option)"), "\(end.errors)")
        #expect(end.lastError.contains(mode == 0 ? "chown root \(rig.path)/shared" : "chmod go-w \(rig.path)/shared"))
        #expect(try rig.names("shared") == ["device-2.new", "live.new"])
        #expect(try rig.names("elsewhere") == ["precious"])
    }

    /// Something is mounted in a version that is too old. It must not be emptied.
    @Test(.enabled(if: isRoot), arguments: ["bind", "tmpfs"])
    func whatIsMountedInAVersionStays(kind: String) async throws {
        for version in 2...3 {
            try await newTree(version)
            try await rig.install()
        }
        let place = "\(rig.path)/live.versions/device-2/data"
        try Files.createDirectory(place)
        if kind == "bind" {
            try await execute("mount", ["--bind", "\(rig.path)/elsewhere", place])
        } else {
            try await execute("mount", ["-t", "tmpfs", "tmpfs", place])
            try rig.scratch.write("live.versions/device-2/data/precious", "precious")
        }
        var isMounted = true
        defer { if isMounted { umount2(place, CInt(MNT_DETACH)) } }
        try await newTree(4)
        for state in ["ArtifactInstall", "ArtifactCommit"] { #expect(try await rig.run(state).succeeded) }
        let end = try await rig.run("Cleanup")
        #expect(!end.succeeded && end.lastError.contains("data cannot be removed, because something is mounted there"))
        #expect(rig.read("live.versions/device-2/data/precious") == "precious")
        #expect(live == "4")
        try await execute("umount", [place])
        isMounted = false
        #expect(try await rig.run("Cleanup").succeeded)
        #expect(try versions() == ["device-3", "device-4"])
        #expect(rig.read("elsewhere/precious") == "precious")
    }
}
