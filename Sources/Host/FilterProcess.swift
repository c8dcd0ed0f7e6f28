import Glibc

/// A program whose output this process reads while it runs, such as a decompressor.
public final class FilterProcess {
    private let pid: pid_t
    private let output: OpenFile
    private var status: ProcessEnd?

    /// - Parameters:
    ///   - path: a name without a slash is searched for in `PATH`.
    ///   - input: its standard input, from the current position, which moves; nil: it is empty.
    ///   - isQuiet: discards its standard error, which is that of this process otherwise.
    public init(
        _ path: String, _ arguments: [String], input: OpenFile? = nil, isQuiet: Bool = false
    ) throws(SystemError) {
        let nothing = try OpenFile("/dev/null", O_RDWR)
        let program = Program(
            path, arguments, streams: .filter(input ?? nothing, errors: isQuiet ? nothing : nil), timeLimit: nil)
        let ends = try StreamEnds(program.streams)
        defer { ends.closeTheirs() }
        pid = try Spawn.start(program, ends)
        output = OpenFile(descriptor: ends.output ?? -1, path: path)
        _ = fcntl(output.descriptor, F_SETFL, fcntl(output.descriptor, F_GETFL) & ~O_NONBLOCK)
    }

    deinit {
        guard status == nil else { return }
        kill(pid, SIGKILL)
        _ = end()
    }

    /// Reads at most `buffer.count` bytes into the buffer's start.
    ///
    /// - Returns: the number of bytes; 0 at the end of the output.
    public func read(into buffer: inout [UInt8]) throws(SystemError) -> Int { try output.read(into: &buffer) }

    /// All of the output, as text without the line breaks at its end.
    ///
    /// - Parameter limit: bytes; more are an EFBIG error.
    public func readText(limit: Int) throws(SystemError) -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = try read(into: &buffer), count > 0 {
            text += buffer[..<count]
            if text.count > limit { throw SystemError("read the output of", output.path, code: EFBIG) }
        }
        while text.last == 0x0A { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }

    /// Waits for its end.
    public func end() -> ProcessEnd {
        if let status { return status }
        var wait: CInt = 0
        while waitpid(pid, &wait, 0) < 0, errno == EINTR {}
        let end = ProcessEnd(waitStatus: wait)
        status = end
        return end
    }
}
