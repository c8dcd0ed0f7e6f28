import Glibc
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Host

/// Modes, limits and names of files, and what their errors mean.
@Suite struct FileRuleTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func path(_ name: String) -> String { "\(scratch.path)/\(name)" }
    private func mode(_ name: String) -> mode_t? { FileStatus(path(name), followsLinks: false)?.mode }

    @Test func aFileHasTheModeOfItsPurpose() throws {
        try Files.replace(path("secret"), with: [1])
        try Files.replace(path("public"), with: [1], mode: 0o644)
        try Files.publish(path("metrics"), [1])
        _ = try OpenFile(path("open"), O_WRONLY | O_CREAT)
        #expect(mode("secret") == 0o600 && mode("open") == 0o600 && mode("metrics") == 0o644)
        #expect(!Files.isReadableByOthers(path("secret")) && Files.isReadableByOthers(path("metrics")))
        chmod(path("secret"), 0o640)
        #expect(!Files.isReadableByOthers(path("secret")) && !Files.isReadableByOthers(path("nothing")))
        // A reader finds one of both, and nothing else remains.
        try Files.publish(path("metrics"), [2])
        #expect(try Files.read(path("metrics"), limit: 1) == [2])
        #expect(try Files.list(scratch.path) == ["metrics", "open", "public", "secret"])
    }

    @Test func anAttackersTemporaryFileIsNotPublished() throws {
        try scratch.write("precious", "precious")
        symlink(path("precious"), path("metrics.new"))
        try Files.publish(path("metrics"), [1])
        #expect(try scratch.read("precious") == "precious" && Files.read(path("metrics"), limit: 1) == [1])
    }

    /// The directory itself is private, and those above it are not.
    @Test func aDirectoryIsPrivateAndTheOnesAboveAreNot() throws {
        try Files.createDirectory(path("a/b/c"))
        #expect(mode("a") == 0o755 && mode("a/b") == 0o755 && mode("a/b/c") == 0o700)
        try Files.createDirectory(path("a/b/c"))
        try scratch.write("file", "")
        #expect(throws: SystemError.self) { try Files.createDirectory(path("file/x")) }
        #expect(throws: SystemError.self) { try Files.createDirectory("") }
        #expect(mode("a/b/c") == 0o700)
    }

    @Test func whatIsSetAsideReplacesWhatWas() throws {
        try scratch.write("state.damaged/old", "x")
        try scratch.write("state", "new")
        try Files.setAside(path("state"))
        #expect(try scratch.read("state.damaged") == "new" && !scratch.exists("state"))
    }

    @Test func onlyWhatIsNotRegularIsRemoved() throws {
        try scratch.write("file", "x")
        try Files.removeUnlessRegular(path("file"))
        try Files.removeUnlessRegular(path("nothing"))
        symlink(path("file"), path("link"))
        try Files.removeUnlessRegular(path("link"))
        #expect(scratch.exists("file") && !Files.isLink(path("link")))
    }

    @Test func anotherNameReplacesAFile() throws {
        try scratch.write("file", "new")
        try scratch.write("name", "old")
        try Files.link(path("file"), as: path("name"))
        #expect(try scratch.read("name") == "new" && FileStatus(path("file"))?.linkCount == 2)
        #expect(FileStatus(path("file"))?.identity == FileStatus(path("name"))?.identity)
    }

    @Test func removingWhatIsNotThereIsNoError() throws {
        try Files.remove(path("nothing"))
        try Files.removeTree(path("nothing"))
        #expect(throws: SystemError.self) { try Files.removeTree("/") }
        try scratch.write("file", "")
        #expect(throws: SystemError.self) { try Files.remove(path("file/x")) }
        try Files.remove(path("file"))
        #expect(!scratch.exists("file"))
    }

    @Test(arguments: [
        ("/a/b", "/a"), ("/a", "/"), ("a", "."), ("a/b", "a"), ("/", "/"), ("/a/", "/a"), ("", "."),
    ])
    func theDirectoryOfAPath(path: String, directory: String) { #expect(Files.directory(of: path) == directory) }

    @Test func pathsAreResolvedAsFarAsTheyExist() throws {
        try Files.createDirectory(path("a/b"))
        symlink("a", path("link"))
        let real = Files.resolved(scratch.path)
        #expect(Files.resolved(path("link/b")) == "\(real)/a/b")
        #expect(Files.resolved(path("link/x/y")) == "\(real)/a/x/y")
        #expect(Files.resolved("/") == "/" && Files.resolved("/nonexistent/x") == "/nonexistent/x")
        #expect(Files.linkTarget(path("link")) == "a" && Files.linkTarget(path("a")) == nil)
    }

    // MARK: locks

    /// Another process can lock what took the place of a locked directory.
    @Test func aLockKnowsWhetherItIsInPlace() throws {
        let lock = try DirectoryLock(scratch.path)
        #expect(lock.isInPlace)
        try Files.remove(path("lock"))
        #expect(!lock.isInPlace)
        let other = try DirectoryLock(scratch.path)
        #expect(!lock.isInPlace && other.isInPlace)
    }

    @Test func aLockWaitsForItsRelease() async throws {
        let lock = try DirectoryLock(scratch.path)
        let directory = scratch.path
        async let second = OwnThread.run { () -> Bool in (try? DirectoryLock(directory, waits: true)) != nil }
        #expect(await eventually { Self.waits() })
        lock.release()
        #expect(await second)
    }

    /// Whether a thread of this process waits for a lock (proc_locks(5)).
    private static func waits() -> Bool {
        let locks = String(decoding: (try? Files.read("/proc/locks", limit: 1 << 20)) ?? [], as: UTF8.self)
        return locks.split(separator: "\n").contains { $0.contains("-> FLOCK") && $0.contains(" \(getpid()) ") }
    }

    // MARK: space

    /// On a file system of its own, so that only this test changes the free space.
    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func exactlyTheFreeSpaceIsEnough() async throws {
        try await scratch.withSmallFileSystem("small", size: "1m") { directory async throws in
            let file = "\(directory)/file"
            let free = try Files.freeSpace(at: directory)
            func fits(_ count: ByteCount, _ keepFree: ByteCount) -> Bool {
                (try? Files.checkSpace(for: count, at: file, keepFree: keepFree)) != nil
            }
            #expect(fits(free, 0) && !fits(free + 1, 0) && fits(1000, free - 1000) && !fits(1000, free - 999))
            #expect(fits(0, free) && !fits(0, free + 1))
            do throws(SystemError) {
                try Files.checkSpace(for: free + 1, at: file, keepFree: 0)
            } catch {
                #expect(error.isNoSpace && !error.isNotRegular && error.reason.contains("(download.keepFree)"))
            }
            #expect(try OpenFile(directory, O_RDONLY).freeSpace == free)
            #expect(Files.hasNoFreeInode(at: directory) == false)
        }
        #expect(Files.hasNoFreeInode(at: "/nonexistent") == nil)
        // It reports no number of inodes.
        #expect(Files.hasNoFreeInode(at: "/proc") == false)
    }

    @Test func spaceIsReservedBehindTheEnd() throws {
        let file = try OpenFile(path("file"), O_RDWR | O_CREAT)
        try file.reserve(from: 0, count: 1 << 20)
        #expect(try file.size == 0 && file.allocatedSize >= 1 << 20)
        #expect(throws: SystemError.self) { try file.reserve(from: 0, count: 1 << 60) }
        try file.write([1, 2, 3])
        #expect(file.position == 3)
        try file.seek(to: 1)
        try file.write([9])
        #expect(try Files.read(path("file"), limit: 3) == [1, 9, 3])
        try file.truncate(to: 2)
        #expect(try Files.read(path("file"), limit: 2) == [1, 9])
    }

    // MARK: errors

    @Test func errorsHaveTheirMeaning() {
        let meanings: [(String, (SystemError) -> Bool, Set<CInt>)] = [
            ("not found", \.isNotFound, [ENOENT, ENOTDIR]), ("not permitted", \.isNotPermitted, [EACCES, EPERM]),
            ("shortage", \.isShortage, [EMFILE, ENFILE, ENOMEM]), ("disk", \.isDiskError, [EIO]),
            ("other file system", \.isOtherFileSystem, [EXDEV]), ("links", \.hasTooManyLinks, [EMLINK, EOPNOTSUPP]),
            ("held", \.isHeld, [EAGAIN]), ("busy", \.isBusy, [EBUSY]),
            ("directory", \.isDirectory, [EISDIR, EEXIST, ENOTEMPTY]), ("space", \.isNoSpace, [ENOSPC, EDQUOT, EFBIG]),
            ("not regular", \.isNotRegular, []),
        ]
        for (name, hasMeaning, codes) in meanings {
            let found = (1...133).filter { hasMeaning(SystemError("read", "/x", code: $0)) }
            #expect(Set(found) == codes, "\(name)")
        }
        #expect(SystemError.notRegular("/x", mode: S_IFIFO).isNotRegular)
        #expect(SystemError.notRegular("/x", mode: S_IFDIR).code == EISDIR)
        #expect(SystemError.notRegular("/x", mode: S_IFBLK).reason == "it is a device, not a regular file")
    }

    // MARK: status

    @Test func aStatusIsThatOfTheFile() async throws {
        try scratch.write("file", "four")
        mkfifo(path("pipe"), 0o600)
        symlink("file", path("link"))
        #expect(FileStatus(path("file"))?.kind == .regular && FileStatus(scratch.path)?.kind == .directory)
        #expect(FileStatus(path("pipe"))?.kind == .pipe && FileStatus("/dev/null")?.kind == .device)
        #expect(FileStatus(path("link"))?.kind == .regular)
        #expect(FileStatus(path("link"), followsLinks: false)?.kind == .symbolicLink)
        #expect(FileStatus(path("file"))?.size == 4 && FileStatus(path("nothing")) == nil)
        #expect(FileStatus("/dev/null")?.deviceNumber == "1:3" && FileStatus(path("file"))?.deviceNumber == nil)
        for (mode, others, special) in [
            (0o600, false, false), (0o620, true, false), (0o602, true, false), (0o644, false, false),
            (0o4700, false, true), (0o2700, false, true), (0o1700, false, true),
        ] as [(mode_t, Bool, Bool)] {
            chmod(path("file"), mode)
            let status = try #require(FileStatus(path("file")))
            #expect(status.isWritableByOthers == others && status.hasSpecialBits == special && status.mode == mode)
            #expect(status.permissions == mode & 0o777)
        }
        #expect(FileStatus(path("file"))?.isOwn == true)
        guard getuid() == 0 else { return }
        chown(path("file"), 65_534, 65_534)
        #expect(FileStatus(path("file"))?.isOwn == false)
    }
}
