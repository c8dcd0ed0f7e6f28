import Glibc
import Host
import Simulator
import TestSupport
import Testing

@Suite struct DirectoryTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        chmod(scratch.path, 0o755)
    }

    private func directory(_ name: String, mode: mode_t = 0o755, user: uid_t? = nil) throws -> String {
        let path = "\(scratch.path)/\(name)"
        try Files.createDirectory(path, mode: mode)
        chmod(path, mode)
        if let user { chown(path, user, gid_t(user)) }
        return path
    }

    private static let isRoot = getuid() == 0

    @Test func aNameIsOneNameOfBytes() throws {
        for text in ["", ".", "..", "a/b", "/", "a\0b"] { #expect(FileName(text) == nil, "\(text)") }
        let name = try #require(FileName([0xFF, 0x41]))
        #expect(name.description == "\u{FFFD}A")
        #expect(FileName.unpredictable("x-") != FileName.unpredictable("x-"))
        #expect(FileName.unpredictable("x-").bytes.count == 34)
    }

    @Test func nothingIsFollowedOrOverwritten() throws {
        let directory = try Directory(try directory("a"))
        try scratch.write("precious", "precious")
        let name = try #require(FileName("link"))
        symlink("\(scratch.path)/precious", "\(scratch.path)/a/link")
        #expect(throws: SystemError("create", "\(scratch.path)/a/link", code: EEXIST)) {
            _ = try directory.createFile(name)
        }
        #expect(throws: SystemError("open", "\(scratch.path)/a/link", code: ELOOP)) { _ = try directory.file(name) }
        #expect(try directory.status(of: name)?.kind == .symbolicLink)
        let pipe = try #require(FileName("pipe"))
        mkfifo("\(scratch.path)/a/pipe", 0o600)
        #expect(throws: SystemError.self) { _ = try directory.file(pipe) }
        symlink("\(scratch.path)", "\(scratch.path)/a/way")
        #expect(throws: SystemError("open", "\(scratch.path)/a/way", code: ENOTDIR)) {
            _ = try directory.directory(try #require(FileName("way")))
        }
    }

    /// On a read-only file system too, it is no error if nothing has the name.
    @Test(.enabled(if: isRoot)) func nothingIsRemovedFromAReadOnlyFileSystem() async throws {
        let place = try directory("disk")
        try await execute("mount", ["-t", "tmpfs", "tmpfs", place])
        defer { umount2(place, CInt(MNT_DETACH)) }
        try scratch.write("disk/file", "x")
        try Files.createDirectory("\(place)/directory")
        try await execute("mount", ["-o", "remount,ro", place])
        let disk = try Directory(place)
        let missing = try #require(FileName("missing"))
        try disk.remove(missing)
        try disk.removeDirectory(missing)
        #expect(throws: SystemError("remove", "\(place)/file", code: EROFS)) {
            try disk.remove(try #require(FileName("file")))
        }
        #expect(throws: SystemError("remove", "\(place)/directory", code: EROFS)) {
            try disk.removeDirectory(try #require(FileName("directory")))
        }
    }

    // MARK: trust

    @Test func directoriesOfThisUserAreTrusted() throws {
        _ = try directory("own")
        symlink("own", "\(scratch.path)/link")
        symlink("\(scratch.path)/link/../own", "\(scratch.path)/longer")
        for path in ["own", "own/", "./own", "own/../own", "link", "longer", "longer/."] {
            let found = try Directory.trusted("\(scratch.path)/\(path)")
            #expect(found.path == "\(scratch.path)/own", "\(path)")
        }
        #expect(throws: SystemError.self) { _ = try Directory.trusted("\(scratch.path)/own/a/b") }
        _ = try Directory.trusted("\(scratch.path)/own/a/b", creates: true)
        #expect(scratch.exists("own/a/b"))
        #expect(try Directory.firstUntrusted(onTheWayTo: "\(scratch.path)/own/a/b/c") == nil)
        #expect(throws: SystemError.self) { _ = try Directory.trusted("relative") }
        symlink("loop", "\(scratch.path)/loop")
        #expect(throws: SystemError("open", "\(scratch.path)/loop", code: ELOOP)) {
            _ = try Directory.trusted("\(scratch.path)/loop")
        }
    }

    @Test func directoriesThatOthersCanWriteToAreNotTrusted() throws {
        for mode: mode_t in [0o777, 0o775, 0o757, 0o1777] {
            let path = try directory("shared-\(mode)", mode: mode)
            #expect(throws: UntrustedDirectory.self) { _ = try Directory.trusted(path) }
            #expect(try Directory.firstUntrusted(onTheWayTo: path) == path)
            // A missing directory in a sticky one can be created: no other user can replace it.
            #expect(try Directory.firstUntrusted(onTheWayTo: "\(path)/new") == (mode == 0o1777 ? nil : path))
            if mode != 0o1777 {
                #expect(throws: UntrustedDirectory.self) { _ = try Directory.trusted("\(path)/new", creates: true) }
                #expect(!scratch.exists("shared-\(mode)/new"))
            } else {
                _ = try Directory.trusted("\(path)/new", creates: true)
            }
            // In a sticky directory, no other user can replace what is there.
            try Files.createDirectory("\(path)/own", mode: 0o755)
            #expect(try Directory.firstUntrusted(onTheWayTo: "\(path)/own") == (mode == 0o1777 ? nil : path))
        }
        // Other programs need a sticky directory, and one that is only on the way, as it is.
        for (path, remedy) in [
            ("shared-\(0o777)", "chmod go-w"), ("shared-\(0o1777)", nil), ("shared-\(0o777)/own", nil),
        ] {
            #expect {
                _ = try Directory.trusted("\(scratch.path)/\(path)")
            } throws: { error in
                let found = (error as? UntrustedDirectory)?.remedy
                return remedy.map { found?.hasPrefix($0) == true } ?? (found == nil)
            }
        }
        let file = try scratch.write("file", "x")
        #expect(try Directory.firstUntrusted(onTheWayTo: file) == file)
        #expect(try Directory.distrust(onTheWayTo: "\(file)/x")?.reason == "\(file) is not a directory")
        symlink("loop", "\(scratch.path)/loop")
        let loop = try Directory.distrust(onTheWayTo: "\(scratch.path)/loop/x")
        #expect(loop?.reason == "\(scratch.path)/loop is one of symbolic links that lead to each other")
        #expect(loop?.remedy == "remove it" && loop?.owner == nil)
        #expect(try Directory.firstUntrusted(onTheWayTo: "/tmp") == "/tmp")
    }

    @Test(.enabled(if: isRoot)) func directoriesAndLinksOfOthersAreNotTrusted() throws {
        let path = try directory("foreign", user: 65_534)
        _ = try directory("foreign/deep")
        #expect(try Directory.firstUntrusted(onTheWayTo: path) == path)
        #expect(try Directory.firstUntrusted(onTheWayTo: "\(path)/deep") == path)
        #expect(try Directory.trusted(path, trustsLast: false).path == path)
        #expect(throws: UntrustedDirectory.self) { _ = try Directory.trusted("\(path)/deep", trustsLast: false) }
        _ = try directory("own")
        symlink("own", "\(scratch.path)/link")
        lchown("\(scratch.path)/link", 65_534, 65_534)
        #expect(try Directory.firstUntrusted(onTheWayTo: "\(scratch.path)/link") == "\(scratch.path)/link")
        // A link of root's that leads through a directory of another user.
        symlink("foreign/deep", "\(scratch.path)/way")
        #expect(try Directory.firstUntrusted(onTheWayTo: "\(scratch.path)/way") == path)
    }

    // MARK: removal

    @Test func aTreeOfAnyDepthAndAnyNamesIsRemoved() throws {
        var directory = try Directory(try directory("tree"))
        let name = try #require(FileName([0x64, 0xE9, 0x70]))
        // More levels than this process can have descriptors, and a path that is too long for a call.
        for level in 0..<3000 {
            try directory.createDirectory(name, mode: 0o700)
            if level % 100 == 0 { _ = try directory.createFile(try #require(FileName([0xFF, 0xFE]))) }
            directory = try directory.directory(name)
        }
        try Files.removeTree("\(scratch.path)/tree/")
        #expect(!scratch.exists("tree"))
        try Files.removeTree("\(scratch.path)/tree")
        try Files.removeTree("\(scratch.path)/tree/below/it")
    }

    @Test func oneNameMayStay() throws {
        let name = try #require(FileName("kept"))
        for path in ["kept/kept", "other/kept", "other/x"] { try scratch.write("tree/\(path)", "x") }
        try Directory("\(scratch.path)/tree").removeContent(except: name)
        #expect(scratch.exists("tree/kept/kept") && !scratch.exists("tree/other"))
        try Directory("\(scratch.path)/tree").removeContent()
        #expect(try Files.list("\(scratch.path)/tree") == [])
    }

    @Test(.enabled(if: isRoot)) func theOwnerOfALinkIsThatOfTheLink() throws {
        try scratch.write("file", "x")
        symlink("file", "\(scratch.path)/link")
        try Directory(scratch.path).setOwner(of: try #require(FileName("link")), user: 65_534, group: 65_534)
        #expect(FileStatus("\(scratch.path)/link", followsLinks: false)?.user == 65_534)
        #expect(FileStatus("\(scratch.path)/file")?.user == 0)
    }

    @Test(.enabled(if: isRoot), arguments: ["bind", "tmpfs"])
    func whatIsMountedInATreeStays(kind: String) async throws {
        try scratch.write("elsewhere/precious", "precious")
        let place = try directory("tree/a/mounted")
        try scratch.write("tree/z", "x")
        if kind == "bind" {
            try await execute("mount", ["--bind", "\(scratch.path)/elsewhere", place])
        } else {
            try await execute("mount", ["-t", "tmpfs", "tmpfs", place])
            try scratch.write("tree/a/mounted/precious", "precious")
        }
        var isMounted = true
        defer { if isMounted { umount2(place, CInt(MNT_DETACH)) } }
        #expect(throws: SystemError("remove", place, code: EBUSY)) { try Files.removeTree("\(scratch.path)/tree") }
        #expect(try scratch.read("tree/a/mounted/precious") == "precious")
        try await execute("umount", [place])
        isMounted = false
        try Files.removeTree("\(scratch.path)/tree")
        #expect(!scratch.exists("tree"))
        #expect(try scratch.read("elsewhere/precious") == "precious")
    }
}
