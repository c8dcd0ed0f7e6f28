import Glibc
import TestSupport
import Testing

@testable import Host

/// Open files and sockets that one process gives to another one.
@Suite struct PassedDescriptorTests {
    /// The installer gets the artifact with the request, and not again with what follows.
    @Test @MainActor func aFileIsPassedWithTheNextBytesOnly() throws {
        let scratch = try Scratch()
        let (mine, theirs) = try LocalSocket.pair()
        let copy = mine.duplicate()
        let channel = LineChannel(input: copy, output: copy, onLine: { _ in })
        defer { channel.close() }
        channel.send(Array("first\n".utf8), passing: try OpenFile(try scratch.write("passed", "over"), O_RDONLY))
        let first = try #require(try theirs.receiveLine(limit: 100, within: 20))
        let file = try #require(first.file)
        #expect(try first.line == Array("first".utf8) && Files.read(file, limit: 10) == Array("over".utf8))
        channel.send(Array("second\n".utf8))
        let second = try #require(try theirs.receiveLine(limit: 100, within: 20))
        #expect(second.line == Array("second".utf8))
        let isPassedAgain = second.file != nil
        #expect(!isPassedAgain)
    }

    // MARK: the socket of the service manager

    /// A socket that listens at an address of the kernel's choice (unix(7), "autobind").
    private func listener() throws -> OpenFile {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        let file = OpenFile(descriptor: descriptor, path: "a socket")
        var address = sockaddr()
        address.sa_family = sa_family_t(AF_UNIX)
        guard bind(descriptor, &address, socklen_t(MemoryLayout<sa_family_t>.size)) == 0, listen(descriptor, 4) == 0
        else { throw SystemError("listen on", file.path) }
        return file
    }

    /// The environment may come from a parent that the service manager has started: then descriptor 3 is not meant for this
    /// process (sd_listen_fds(3)).
    @Test(arguments: ["1", "$PPID", ""]) func aSocketForAnotherProcessIsNotTaken(pid: String) async throws {
        let scratch = try Scratch()
        let script = """
            readlink /proc/self/fd/3
            LISTEN_PID=\(pid) LISTEN_FDS=1 exec \(programsDirectory)/upgradelink-installer --listen --root \
            \(scratch.path) 2>&1
            """
        let program = Program(
            "/bin/sh", ["-c", script], streams: .pipes(passing: [try listener()]), timeLimit: 60)
        let (lines, _, end) = await program.run()
        #expect(lines.first?.hasPrefix("socket:") == true, "\(lines)")
        #expect(end == .exited(64) && lines.last?.contains("--listen needs a listening socket") == true, "\(lines)")
    }
}
