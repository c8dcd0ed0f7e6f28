import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The module `file`, and attacks on it: a user who can plant a file must not get more rights by an update.
@Suite struct FileModuleTests {
    private let rig: ModuleRig
    private let options = ["destination": "@ROOT@/live/player"]

    init() throws {
        rig = try ModuleRig("file")
        try rig.scratch.write("artifact", "new")
        try rig.scratch.write("precious", "precious", mode: 0o600)
    }

    private func writeOld(mode: mode_t = 0o640) throws { try rig.scratch.write("live/player", "old", mode: mode) }

    private func installFails(_ reason: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded, sourceLocation: sourceLocation)
        #expect(
            end.lastError.hasPrefix("file: ") && end.lastError.contains(reason), "\(end.errors)",
            sourceLocation: sourceLocation)
        #expect(rig.read("precious") == "precious", sourceLocation: sourceLocation)
        #expect(rig.status("precious") == "100600 0:0", sourceLocation: sourceLocation)
        #expect(try await rig.run("ArtifactRollback").succeeded, sourceLocation: sourceLocation)
        #expect(rig.read("precious") == "precious", sourceLocation: sourceLocation)
    }

    @Test func theQueriesHaveResponses() async throws {
        try rig.newTree(options)
        #expect(try await rig.run("NeedsArtifactReboot").output == "No\n")
        #expect(try await rig.run("SupportsRollback").output == "Yes\n")
        #expect(try await rig.run("ArtifactVerifyReboot").succeeded)
        #expect(try await !rig.run("--help").succeeded)
    }

    /// As it is installed: a link to the one program, which finds its role by the link's name.
    @Test func theModuleIsPartOfTheProgram() async throws {
        try writeOld()
        try rig.newTree(options)
        try Files.createDirectory("\(rig.path)/modules")
        symlink("\(programsDirectory)/upgradelink", "\(rig.path)/modules/file")
        try await execute("env", ["\(rig.path)/modules/file", "ArtifactInstall", "\(rig.path)/tree"])
        #expect(rig.read("live/player") == "new")
        try await execute("env", ["./file", "ArtifactRollback", "\(rig.path)/tree"], in: "\(rig.path)/modules")
        #expect(rig.read("live/player") == "old")
    }

    @Test func theFileIsReplacedAndRestored() async throws {
        try writeOld()
        try rig.newTree(options)
        try await rig.install()
        #expect(try rig.read("live/player") == "new" && rig.names("live") == ["player"])
        #expect(rig.status("live/player").hasPrefix("100640 "))
        try rig.newTree(options)
        try rig.scratch.write("tree/files/artifact", "newer")
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.read("live/player") == "newer" && rig.read("live/player.old") == "new")
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(rig.read("live/player") == "new")
        for state in ["ArtifactFailure", "Cleanup"] { #expect(try await rig.run(state).succeeded) }
        #expect(try rig.names("live") == ["player"])
    }

    /// Nothing is written twice: the artifact becomes the file, and the old file gets a second name.
    @Test func theFilesAreMovedAndNotCopied() async throws {
        try writeOld()
        let old = rig.inode("live/player")
        try rig.newTree(options)
        let new = rig.inode("tree/files/artifact")
        for _ in 1...2 {
            #expect(try await rig.run("ArtifactInstall").succeeded)
            #expect(rig.inode("live/player") == new && rig.inode("live/player.old") == old)
            #expect(!rig.scratch.exists("tree/files/artifact"))
        }
        // Another attempt needs no download.
        for _ in 1...2 {
            #expect(try await rig.run("ArtifactRollback").succeeded)
            #expect(rig.inode("live/player") == old && rig.inode("tree/files/artifact") == new)
        }
        #expect(try rig.names("live") == ["player"])
        #expect(try await rig.run("ArtifactInstall").succeeded)
        for state in ["ArtifactCommit", "Cleanup"] { #expect(try await rig.run(state).succeeded) }
        #expect(try rig.inode("live/player") == new && rig.names("live") == ["player"])
    }

    /// Another name of the artifact would be another name of the installed file.
    @Test func anArtifactWithAnotherNameIsCopied() async throws {
        try rig.newTree(options)
        try Files.link("\(rig.path)/tree/files/artifact", as: "\(rig.path)/second")
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.read("live/player") == "new" && rig.inode("live/player") != rig.inode("second"))
        #expect(rig.inode("tree/files/artifact") == rig.inode("second"))
    }

    @Test func theOldFileIsKeptIfTheOperatorWantsIt() async throws {
        try writeOld()
        try rig.newTree(options.merging(["keepOld": "yes"]) { $1 })
        try await rig.install()
        #expect(rig.read("live/player") == "new" && rig.read("live/player.old") == "old")
        try rig.newTree(options.merging(["keepOld": "perhaps"]) { $1 })
        try await installFails("\"perhaps\" is not \"yes\" or \"no\": set install.files.keepOld")
        #expect(rig.read("live/player") == "new")
    }

    @Test func anOldFileThatIsMissingIsReported() async throws {
        try writeOld()
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        unlink("\(rig.path)/live/player.old")
        let end = try await rig.run("ArtifactRollback")
        #expect(!end.succeeded && end.lastError.hasSuffix("restore \(rig.path)/live/player by hand"), "\(end.errors)")
        #expect(rig.read("live/player") == "new")
    }

    /// After a rollback that failed, the old file is all there is.
    @Test func theOldFileStaysUntilItIsNotNeeded() async throws {
        try writeOld()
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(try await rig.run("Cleanup").succeeded)
        #expect(rig.read("live/player.old") == "old")
    }

    @Test func aRollbackRemovesAFileThatWasNotThere() async throws {
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactRollback").succeeded, "nothing was installed")
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.read("live/player") == "new")
        #expect(rig.status("live/player").hasPrefix("100644 "))
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(try rig.names("live").isEmpty)
    }

    // MARK: interruptions

    /// Killed before each call of an installation, and then rolled back, or begun again and rolled back.
    @Test(arguments: [false, true], [false, true])
    func anInstallationCanBeInterruptedAnywhere(exists: Bool, again: Bool) async throws {
        var call = 1
        while true {
            try Files.removeTree("\(rig.path)/live")
            try Files.createDirectory("\(rig.path)/live", mode: 0o755)
            if exists { try writeOld() }
            try rig.newTree(options)
            let isHit = try await rig.runKilled("ArtifactInstall", before: call)
            #expect([exists ? "old" : nil, "new"].contains(rig.read("live/player")), "call \(call)")
            if again {
                #expect(try await rig.run("ArtifactInstall").succeeded, "call \(call)")
                #expect(rig.read("live/player") == "new", "call \(call)")
            }
            #expect(try await rig.run("ArtifactRollback").succeeded, "call \(call)")
            #expect(rig.read("live/player") == (exists ? "old" : nil), "call \(call)")
            #expect(try rig.names("live").filter { $0 != "player.old" } == (exists ? ["player"] : []), "call \(call)")
            if exists { #expect(rig.status("live/player").hasPrefix("100640 "), "call \(call)") }
            guard isHit else { break }
            call += 1
        }
        #expect(call > 10)
    }

    @Test func aRollbackCanBeInterruptedAnywhere() async throws {
        var call = 1
        while true {
            try Files.removeTree("\(rig.path)/live")
            try writeOld(mode: 0o600)
            try rig.newTree(options)
            #expect(try await rig.run("ArtifactInstall").succeeded)
            let isHit = try await rig.runKilled("ArtifactRollback", before: call)
            #expect(["old", "new"].contains(rig.read("live/player")), "call \(call)")
            #expect(try await rig.run("ArtifactRollback").succeeded, "call \(call)")
            #expect(rig.read("live/player") == "old", "call \(call)")
            #expect(try rig.names("live") == ["player"], "call \(call)")
            guard isHit else { break }
            call += 1
        }
        #expect(call > 4)
    }

    /// 0.2.0's script began an installation, and this version rolls it back.
    @Test(.enabled(if: isRoot), arguments: ["old", "none"], [false, true])
    func anInstallationOfAnEarlierReleaseIsRolledBack(before: String, isShared: Bool) async throws {
        try rig.newTree(options)
        try rig.scratch.write("live/player", "new")
        try rig.scratch.write("live/player.new", "new")
        if before == "old" { try rig.scratch.write("live/player.old", "old", mode: 0o755) }
        try rig.scratch.write("tree/tmp/before", "\(before)\n")
        // That release did not check who owns the directory.
        if isShared { rig.giveAway("live") }
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(rig.read("live/player") == (before == "old" ? "old" : nil))
        #expect(!rig.scratch.exists("live/player.new"))
        if before == "old" { #expect(rig.status("live/player") == "100755 0:0") }
        #expect(try await rig.run("Cleanup").succeeded)
    }

    // MARK: disks

    @Test(.enabled(if: isRoot), arguments: ["read-only", "full"], [true, false])
    func aDiskThatCannotBeWrittenIsRolledBack(disk: String, exists: Bool) async throws {
        let place = "\(rig.path)/live"
        try Files.createDirectory(place, mode: 0o755)
        try await execute("mount", ["-t", "tmpfs", "-o", "mode=755,size=64k", "tmpfs", place])
        defer { umount2(place, CInt(MNT_DETACH)) }
        let old = String(repeating: "old", count: 8_000)
        if exists { try rig.scratch.write("live/player", old) }
        if disk == "full" {
            // The old file is kept without a copy.
            try rig.scratch.write("artifact", String(repeating: "new", count: 30_000))
        } else {
            try await execute("mount", ["-o", "remount,ro", place])
        }
        try rig.newTree(options)
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded)
        #expect(
            end.lastError.hasSuffix(disk == "full" ? "No space left on device" : "Read-only file system")
                && !end.lastError.contains("remove"), "\(end.errors)")
        for _ in 1...2 {
            let rollback = try await rig.run("ArtifactRollback")
            #expect(rollback.succeeded, "\(rollback.errors)")
        }
        #expect(rig.read("live/player") == (exists ? old : nil))
        #expect(try rig.names("live").filter { $0 != "player.old" } == (exists ? ["player"] : []))
    }

    // MARK: attacks

    /// The group of the old file must not be able to change what a rollback installs.
    @Test(.enabled(if: isRoot)) func onlyRootCanWriteToTheCopy() async throws {
        try writeOld(mode: 0o664)
        rig.giveAway("live/player")
        chmod("\(rig.path)/live/player", 0o4775)
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.status("live/player.old") == "100755 0:0")
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(rig.read("live/player") == "old" && rig.status("live/player") == "104775 65534:65534")
    }

    /// The names that earlier releases used are links to a file of root's.
    @Test func plantedNamesAreNotFollowed() async throws {
        try writeOld()
        for name in ["player.new", "player.old", "player.old.new"] {
            symlink("\(rig.path)/precious", "\(rig.path)/live/\(name)")
        }
        try rig.newTree(options.merging(["permissions": "777", "keepOld": "yes"]) { $1 })
        try await rig.install()
        #expect(rig.read("live/player") == "new" && rig.status("live/player").hasPrefix("100777"))
        #expect(rig.read("live/player.old") == "old" && rig.status("live/player.old").hasPrefix("100640"))
        #expect(rig.read("precious") == "precious" && rig.status("precious").hasPrefix("100600"))
    }

    @Test(.enabled(if: isRoot), arguments: [0o755, 0o700])
    func aDirectoryOfAnotherUserIsRefused(mode: mode_t) async throws {
        try writeOld()
        symlink("\(rig.path)/precious", "\(rig.path)/live/player.new")
        chmod("\(rig.path)/live", mode)
        rig.giveAway("live")
        try rig.newTree(options)
        try await installFails("\(rig.path)/live belongs to user 65534, and not to root: chown root \(rig.path)/live")
        #expect(rig.read("live/player") == "old")
    }

    @Test(.enabled(if: isRoot), arguments: [0o777, 0o775, 0o1777])
    func aDirectoryThatOthersCanWriteToIsRefused(mode: mode_t) async throws {
        try writeOld()
        chmod("\(rig.path)/live", mode)
        try rig.newTree(options)
        try await installFails(
            "others than root can write to \(rig.path)/live: "
                + (mode == 0o1777 ? "" : "chmod go-w \(rig.path)/live, or ") + "set install.files.destination"
        )
        #expect(rig.read("live/player") == "old")
    }

    /// Another user could put another directory in place of one on the way.
    @Test(.enabled(if: isRoot)) func theDirectoriesOnTheWayAreChecked() async throws {
        try rig.scratch.write("shared/live/player", "old")
        chmod("\(rig.path)/shared", 0o777)
        try rig.newTree(["destination": "@ROOT@/shared/live/player"])
        try await installFails("\(rig.path)/shared")
        #expect(rig.read("shared/live/player") == "old")
        // A missing directory is not created there either.
        try rig.newTree(["destination": "@ROOT@/shared/other/player"])
        try await installFails("\(rig.path)/shared")
        #expect(!rig.scratch.exists("shared/other"))
    }

    @Test(.enabled(if: isRoot)) func aLinkOfAnotherUserOnTheWayIsRefused() async throws {
        try writeOld()
        symlink("\(rig.path)/live", "\(rig.path)/way")
        try rig.newTree(["destination": "@ROOT@/way/player"])
        #expect(try await rig.run("ArtifactInstall").succeeded, "a link of root is followed")
        #expect(rig.read("live/player") == "new")
        #expect(try await rig.run("ArtifactRollback").succeeded)
        rig.giveAway("way")
        try rig.newTree(["destination": "@ROOT@/way/player"])
        try await installFails("\(rig.path)/way is a symbolic link of user 65534")
        #expect(rig.read("live/player") == "old")
    }

    @Test func aSymbolicLinkAsDestinationIsRefused() async throws {
        try Files.createDirectory("\(rig.path)/live", mode: 0o755)
        symlink("\(rig.path)/precious", "\(rig.path)/live/player")
        try rig.newTree(options)
        try await installFails(
            "\(rig.path)/live/player is a symbolic link to \(rig.path)/precious, which is not followed")
        #expect(rig.status("live/player").hasPrefix("120777"), "the link is still there")
    }

    @Test(arguments: ["directory", "pipe"])
    func somethingElseAsDestinationIsRefused(kind: String) async throws {
        try Files.createDirectory("\(rig.path)/live", mode: 0o755)
        if kind == "pipe" {
            mkfifo("\(rig.path)/live/player", 0o600)
        } else {
            try Files.createDirectory("\(rig.path)/live/player")
        }
        try rig.newTree(options)
        try await installFails("\(rig.path)/live/player exists and is not a file: move it away")
    }

    @Test(arguments: ["live/player", "", "/", "/live/", "/live/.."])
    func aDestinationMustBeAnAbsolutePath(path: String) async throws {
        try rig.newTree(["destination": path])
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded && end.lastError.contains("set install.files.destination"), "\(end.errors)")
    }

    /// Mode and owner of a new file: special bits only if `permissions` has them, another owner only if `owner` says so.
    @Test(.enabled(if: isRoot)) func specialBitsAndOwnersAreNotInherited() async throws {
        try writeOld()
        rig.giveAway("live/player")
        chmod("\(rig.path)/live/player", 0o6755)
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.status("live/player") == "100755 0:0")
        #expect(rig.status("live/player.old") == "100755 0:0")
        #expect(try await rig.run("ArtifactRollback").succeeded)
        #expect(rig.status("live/player") == "106755 65534:65534", "it is what it was")
        try rig.newTree(options.merging(["permissions": "4750", "owner": "65534:0"]) { $1 })
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.status("live/player") == "104750 65534:0")
    }

    @Test(arguments: [
        ("0755", "100755"), ("600", "100600"), ("u=rwx,go=rx", "100755"), ("u+x", "100700"), ("a=r", "100444"),
        ("+x", "100711"), ("+w", "100600"), ("g=u", "100660"), ("u+x-w", "100500"), ("a=r,g+u,o=g-r", "100440"),
        ("go=u-w", "100644"),
        ("", "100644"),
    ])
    func permissionsAreThoseOfChmod(text: String, mode: String) async throws {
        try rig.newTree(options.merging(["permissions": text]) { $1 })
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(rig.status("live/player").hasPrefix("\(mode) "), "\(rig.status("live/player"))")
    }

    @Test(arguments: ["9", "rwx", "u=rwx;", "70000", "-1", " ", "u", "g=ux", "g=u,"])
    func otherPermissionsAreRefused(text: String) async throws {
        try rig.newTree(options.merging(["permissions": text]) { $1 })
        try await installFails("set install.files.permissions")
        #expect(!rig.scratch.exists("live/player"))
    }

    @Test(arguments: ["no-such-user", "0:no-such-group", ":", "0:0:0"])
    func anUnknownOwnerIsRefused(text: String) async throws {
        try rig.newTree(options.merging(["owner": text]) { $1 })
        try await installFails("install.files.owner")
    }
}
