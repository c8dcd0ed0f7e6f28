import Glibc
import TestSupport
import Testing

@testable import Host

/// What the kernel does for the adoption of a file: leases, rights and links.
@Suite struct FileAdoptionTests {
    private let scratch: Scratch
    private var path: String { "\(scratch.path)/file" }

    init() throws {
        scratch = try Scratch()
        try scratch.write("file", "content")
        try Files.createDirectory("\(scratch.path)/other")
    }

    @Test func aLeaseEndsWithTheFirstWriter() throws {
        let file = try Files.open(path)
        #expect(!file.hasReadLease)
        try file.takeReadLease()
        #expect(file.hasReadLease)
        withExtendedLifetime(try Files.open(path)) {}
        #expect(file.hasReadLease, "readers do not matter")
        #expect(open(path, O_WRONLY | O_NONBLOCK) < 0 && errno == EWOULDBLOCK)
        #expect(!file.hasReadLease)
    }

    @Test func thereIsNoLeaseWithAWriter() throws {
        let writer = try OpenFile(path, O_WRONLY)
        let file = try Files.open(path)
        do throws(SystemError) {
            try file.takeReadLease()
            Issue.record("a lease")
        } catch {
            #expect(error.isHeld && !file.hasReadLease)
        }
        withExtendedLifetime(writer) {}
    }

    /// io_uring can keep the pages of tmpfs, and an overlay or a network is not the file itself.
    @Test func onlyKnownFileSystemsHaveReliableLeases() async throws {
        let known = ["ext2/ext3", "ext4", "xfs", "btrfs", "f2fs", "ubifs"]
        for place in ["/tmp", "/dev/shm", "/proc", "/sys"] {
            let type = FileSystemType.name(place)
            #expect(try Directory(place).handle.hasReliableLeases == known.contains(type), "\(place): \(type)")
        }
        #expect(try !Directory("/proc").handle.hasReliableLeases)
    }

    private enum FileSystemType {
        static func name(_ path: String) -> String {
            let process = try? FilterProcess("stat", ["--file-system", "--format=%T", path])
            return (try? process?.readText(limit: 100)) ?? ""
        }
    }

    @Test(.enabled(if: getuid() == 0)) func rightsAreTakenAndGiven() throws {
        chown(path, 65_534, 65_534)
        chmod(path, 0o4777)
        let file = try Files.open(path)
        try file.takeOwnership()
        #expect(try [file.status.user, file.status.group, file.status.mode] == [0, 0, 0o600])
        try file.share(withGroup: 65_534)
        #expect(try [file.status.user, file.status.group, file.status.mode] == [0, 65_534, 0o440])
    }

    @Test func aLinkReplacesNothingAndFollowsNothing() throws {
        let (one, other) = (try Directory(scratch.path), try Directory("\(scratch.path)/other"))
        let (name, second) = (try #require(FileName("file")), try #require(FileName("second")))
        try one.link(name, as: second, in: other)
        #expect(try other.status(of: second)?.identity == one.status(of: name)?.identity)
        do throws(SystemError) {
            try one.link(name, as: second, in: other)
            Issue.record("replaced")
        } catch { #expect(error.code == EEXIST) }
        #expect(symlink("file", "\(scratch.path)/pointer") == 0)
        let (pointer, copy) = (try #require(FileName("pointer")), try #require(FileName("copy")))
        try one.link(pointer, as: copy, in: other)
        #expect(try other.status(of: copy)?.kind == .symbolicLink)
    }

    /// Only another mount is a reason for another way.
    @Test func otherErrorsAreNotTriedAgain() throws {
        let directory = try Directory(scratch.path)
        var calls = 0
        do throws(SystemError) {
            try directory.onOneMount(with: directory) { _, _ throws(SystemError) in
                calls += 1
                throw SystemError("link", "x", code: EACCES)
            }
            Issue.record("no error")
        } catch { #expect(error.code == EACCES && calls == 1) }
        calls = 0
        try directory.onOneMount(with: directory) { _, _ throws(SystemError) in calls += 1 }
        #expect(calls == 1)
    }
}

/// A slot that is written and read without the page cache.
@Suite struct DirectFileTests {
    private let scratch: Scratch
    private var path: String { "\(scratch.path)/slot" }

    init() throws { scratch = try Scratch() }

    private func buffer(_ byte: UInt8, _ count: Int = 8192) -> AlignedBuffer {
        let buffer = AlignedBuffer(count)
        let bytes = [UInt8](repeating: byte, count: count)
        buffer.replace(from: 0, with: bytes.span.bytes)
        return buffer
    }

    @Test func aFileMayGrow() throws {
        try scratch.write("slot", "")
        let file = try DirectFile(path)
        #expect(!file.isBlockDevice && file.capacity == .max)
    }

    @Test func whatIsNoSlotIsRefused() throws {
        try scratch.write("target", "x")
        symlink("target", path)
        #expect(throws: SystemError.self) { try DirectFile(path) }
        unlink(path)
        #expect(throws: SystemError.self) { try DirectFile(path) }
        for make in [{ mkfifo($0, 0o600) }, { mkdir($0, 0o700) }] as [(String) -> CInt] {
            #expect(make(path) == 0)
            do throws(SystemError) {
                _ = try DirectFile(path)
                Issue.record("opened")
            } catch { #expect(error.code == ENOTBLK) }
            try Files.removeTree(path)
        }
        do throws(SystemError) {
            _ = try DirectFile("/dev/null")
            Issue.record("opened")
        } catch { #expect(error.code == ENOTBLK) }
    }

    /// Ranges and offsets, with an end that is no multiple of a block.
    @Test func rangesAreWrittenAtTheirPlaces() throws {
        try scratch.write("slot", String(repeating: "o", count: 20_000))
        let file = try DirectFile(path)
        try file.write(buffer(UInt8(ascii: "a")), 4096..<8192, at: 4096)
        try file.write(buffer(UInt8(ascii: "b")), 0..<100, at: 12_288)
        try file.write(buffer(UInt8(ascii: "c")), 4096..<8192, at: 16_384)
        try file.synchronize()
        let expected =
            String(repeating: "o", count: 4096) + String(repeating: "a", count: 4096)
            + String(repeating: "o", count: 4096) + String(repeating: "b", count: 100)
            + String(repeating: "o", count: 3996) + String(repeating: "c", count: 4096)
        #expect(try scratch.read("slot") == expected)
    }

    @Test func readingEndsWithTheFile() throws {
        try scratch.write("slot", String(repeating: "x", count: 5000))
        let file = try DirectFile(path)
        let into = buffer(0)
        #expect(try file.read(into: into, count: 8192, at: 0) == 5000)
        #expect(into.equals(buffer(UInt8(ascii: "x")), in: 0..<5000))
        #expect(try file.read(into: into, count: 4096, at: 0) == 4096, "no more than was asked for")
        #expect(try file.read(into: into, count: 4096, at: 4096) == 904)
        #expect(try file.read(into: into, count: 4096, at: 8192) == 0)
    }
}

/// A program whose output is read while it runs.
@Suite struct FilterProcessTests {
    @Test func theOutputIsReadToItsEnd() throws {
        let process = try FilterProcess("printf", ["a\\nb\\n\\n"])
        #expect(try process.readText(limit: 5) == "a\nb")
        #expect(process.end() == .exited(0) && process.end() == .exited(0))
    }

    @Test func tooMuchOutputIsAnError() throws {
        #expect(try FilterProcess("printf", ["12345"]).readText(limit: 5) == "12345")
        do throws(SystemError) {
            _ = try FilterProcess("printf", ["123456"]).readText(limit: 5)
            Issue.record("read")
        } catch { #expect(error.code == EFBIG) }
    }

    @Test(arguments: [("exit 3", ProcessEnd.exited(3)), ("kill -9 $$", .signalled(9)), ("exit 0", .exited(0))])
    func theEndIsToldApart(script: String, end: ProcessEnd) throws {
        let process = try FilterProcess("sh", ["-c", script])
        #expect(try process.readText(limit: 10) == "" && process.end() == end)
        #expect(process.end().succeeded == (script == "exit 0"))
    }

    @Test func theInputIsTheFileFromItsPosition() throws {
        let scratch = try Scratch()
        let file = try Files.open(try scratch.write("input", "0123456789"))
        try file.seek(to: 4)
        #expect(try FilterProcess("cat", [], input: file).readText(limit: 100) == "456789")
        #expect(try FilterProcess("cat", []).readText(limit: 100) == "", "no input is empty")
    }

    @Test func aProgramThatIsMissingIsAnError() {
        #expect(throws: SystemError.self) { try FilterProcess("no-such-program", []) }
    }

    /// Nothing runs on that no one reads.
    @Test func theProcessEndsWithItsReader() throws {
        let scratch = try Scratch()
        do {
            let process = try FilterProcess("sh", ["-c", "echo $$; exec sleep 1000"])
            var bytes = [UInt8](repeating: 0, count: 100)
            let count = try process.read(into: &bytes)
            try scratch.write("pid", String(decoding: bytes[..<count], as: UTF8.self))
        }
        let pid = try #require(pid_t(try scratch.read("pid").filter(\.isNumber)))
        #expect(kill(pid, 0) != 0 && errno == ESRCH)
    }
}
