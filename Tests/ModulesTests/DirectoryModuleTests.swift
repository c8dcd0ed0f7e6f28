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

    // MARK: disks

    /// The installation fails before it changes anything, and so the rollback has nothing to restore.
    @Test(.enabled(if: isRoot), arguments: ["read-only", "full"])
    func aDiskThatCannotBeWrittenIsRolledBack(disk: String) async throws {
        let place = "\(rig.path)/disk"
        try Files.createDirectory(place, mode: 0o755)
        try await execute("mount", ["-t", "tmpfs", "-o", "mode=755,nr_inodes=40", "tmpfs", place])
        defer { umount2(place, CInt(MNT_DETACH)) }
        let options = ["link": "@ROOT@/disk/live"]
        try await newTree(2, options)
        try await rig.install()
        if disk == "full" {
            var count = 0
            while symlink("x", "\(place)/filler-\(count)") == 0 { count += 1 }
        } else {
            try await execute("mount", ["-o", "remount,ro", place])
        }
        try await newTree(3, options)
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded)
        #expect(
            end.lastError.contains(disk == "full" ? "No space left" : "cannot create"), "\(end.errors)")
        for _ in 1...2 {
            let rollback = try await rig.run("ArtifactRollback")
            // Not even a warning.
            #expect(rollback.succeeded && rollback.errors.isEmpty, "\(rollback.errors)")
        }
        #expect(rig.read("disk/live/version") == "2")
        #expect(try rig.names("disk/live.versions") == ["device-2"])
    }

    /// The rollback has restored the link, and that is what the device needs.
    @Test(.enabled(if: isRoot)) func aNewVersionThatCannotBeRemovedDoesNotStopTheRollback() async throws {
        try await newTree(2)
        try await rig.install()
        try await newTree(3)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        let place = "\(rig.path)/live.versions/device-3/data"
        try Files.createDirectory(place)
        try await execute("mount", ["--bind", "\(rig.path)/elsewhere", place])
        var isMounted = true
        defer { if isMounted { umount2(place, CInt(MNT_DETACH)) } }
        let end = try await rig.run("ArtifactRollback")
        #expect(end.succeeded && end.lastError.contains("something is mounted there"), "\(end.errors)")
        #expect(live == "2")
        // The same version again gets another name.
        try await newTree(3)
        for state in ["ArtifactInstall", "ArtifactCommit"] { #expect(try await rig.run(state).succeeded) }
        #expect(try await !rig.run("Cleanup").succeeded)
        #expect(live == "3")
        #expect(Files.linkTarget("\(rig.path)/live") == "\(rig.path)/live.versions/device-3.again")
        #expect(rig.read("elsewhere/precious") == "precious")
        try await execute("umount", [place])
        isMounted = false
        try await newTree(4)
        try await rig.install()
        #expect(try versions() == ["device-3.again", "device-4"])
    }

    /// After a commit that failed, Cleanup keeps what it had kept before.
    @Test func aRollbackAfterACommitRemovesNoOtherVersion() async throws {
        for version in 2...3 {
            try await newTree(version)
            try await rig.install()
        }
        try await newTree(4)
        for state in ["ArtifactInstall", "ArtifactCommit", "ArtifactRollback", "Cleanup"] {
            #expect(try await rig.run(state).succeeded)
        }
        #expect(live == "3")
        #expect(try versions() == ["device-2", "device-3"])
    }

    /// The installer ended between two calls, before the module had chosen a name.
    @Test func aRollbackRemovesATemporaryNameWithoutAVersion() async throws {
        try await newTree(2)
        try await rig.install()
        try await newTree(3)
        try rig.scratch.write("tree/tmp/release", "0.3\n")
        try rig.scratch.write("tree/tmp/temporary", ".upgradelink-0\n")
        try rig.scratch.write("live.versions/.upgradelink-0/version", "x")
        #expect(try await rig.run("ArtifactRollback").succeeded)
        #expect(try versions() == ["device-2"])
    }

    // MARK: which versions stay

    /// The link first points to a directory that has the versions' directory, but that this module did not make.
    @Test func aDirectoryWithAnotherNameIsNotAdopted() async throws {
        try rig.scratch.write("opt/vendor-suite/version", "1")
        try rig.scratch.write("opt/vendor-2/own", "x")
        chmod("\(rig.path)/opt", 0o755)
        chmod("\(rig.path)/opt/vendor-suite", 0o755)
        symlink("\(rig.path)/opt/vendor-suite", "\(rig.path)/live")
        for version in 2...5 {
            try await newTree(version, ["link": "@ROOT@/live", "versions": "@ROOT@/opt"])
            try await rig.install()
        }
        #expect(try rig.names("opt") == ["device-4", "device-5", "vendor-2", "vendor-suite"])
        #expect(try rig.names("opt/vendor-suite") == ["version"])
    }

    /// A service that gives itself its directory (chown -R) must not keep all versions for ever.
    @Test(.enabled(if: isRoot)) func aVersionThatWasGivenAwayIsRemovedLater() async throws {
        for version in 2...6 {
            try await newTree(version)
            try await rig.install()
            try await execute("chown", ["-R", "\(ModuleRig.stranger)", "\(rig.path)/live/."])
            chmod("\(rig.path)/live/.", 0o777)
        }
        #expect(live == "6")
        #expect(try versions() == ["device-5", "device-6"])
    }

    /// A link may lead into a version, and name it by another path.
    @Test func aVersionThatTheLinkLeadsIntoStays() async throws {
        for target in ["live.versions/device-2/bin", "@ROOT@/same/device-2/bin/", "@ROOT@/same/device-2/version"] {
            try await newTree(2)
            try await rig.install()
            try Files.createDirectory("\(rig.path)/live.versions/device-2/bin", mode: 0o755)
            if !rig.scratch.exists("same") { symlink("live.versions", "\(rig.path)/same") }
            try Files.removeTree("\(rig.path)/live")
            let target = target.replacing("@ROOT@", with: rig.path)
            symlink(target, "\(rig.path)/live")
            try await newTree(3)
            try await rig.install()
            #expect(live == "3")
            #expect(try versions() == ["device-2", "device-3"], "\(target)")
            try Files.removeTree("\(rig.path)/live.versions")
            try Files.removeTree("\(rig.path)/live")
        }
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
        let shared = "\(rig.path)/shared"
        // Other programs need a sticky directory as it is.
        let remedy = [0o1777: "\(shared): set ", 0: "chown root \(shared)"][mode] ?? "chmod go-w \(shared), or set "
        #expect(end.lastError.contains(remedy), "\(end.errors)")
        #expect(try rig.names("shared") == ["device-2.new", "live.new"])
        #expect(try rig.names("elsewhere") == ["precious"])
    }

    /// Something with a mark is mounted on a version that is too old.
    @Test(.enabled(if: isRoot)) func whatIsMountedOnAVersionStays() async throws {
        for version in 2...3 {
            try await newTree(version)
            try await rig.install()
        }
        try rig.scratch.write("elsewhere/.upgradelink-version", "x")
        let place = "\(rig.path)/live.versions/device-2"
        try await execute("mount", ["--bind", "\(rig.path)/elsewhere", place])
        var isMounted = true
        defer { if isMounted { umount2(place, CInt(MNT_DETACH)) } }
        try await newTree(4)
        for state in ["ArtifactInstall", "ArtifactCommit"] { #expect(try await rig.run(state).succeeded) }
        let end = try await rig.run("Cleanup")
        #expect(
            !end.succeeded && end.lastError.contains("device-2 cannot be removed, because something is mounted there"))
        #expect(try rig.names("elsewhere") == [".upgradelink-version", "precious"])
        try await execute("umount", [place])
        isMounted = false
        #expect(try await rig.run("Cleanup").succeeded)
        #expect(try versions() == ["device-3", "device-4"])
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
