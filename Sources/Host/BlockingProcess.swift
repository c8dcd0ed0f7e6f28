import Glibc

extension Program {
    /// Runs the program, and waits for its end. For a program whose only work this is, such as an update module: it needs no
    /// main queue. The time limit is not applied; the program is in this process's session, and ends with its group.
    ///
    /// - Parameter onErrorLine: called with each line of its standard error.
    public func runAndWait(onErrorLine: (String) -> Void) -> ProcessEnd {
        do throws(SystemError) {
            let ends = try StreamEnds(streams)
            let pid = try Self.start(self, ends)
            if let errors = ends.errors { Self.readLines(OpenFile(descriptor: errors, path: path), onErrorLine) }
            var status: CInt = 0
            while waitpid(pid, &status, 0) < 0 {
                guard errno == EINTR else { throw SystemError("wait for", path) }
            }
            return ProcessEnd(waitStatus: status)
        } catch {
            return .couldNotStart("\(error)")
        }
    }

    /// Starts the program, and does not wait for its end. It continues after this process has ended.
    func startAlone() throws(SystemError) { _ = try Self.start(self, try StreamEnds(streams)) }

    private static func start(_ program: Program, _ ends: StreamEnds) throws(SystemError) -> pid_t {
        defer { ends.closeTheirs() }
        return try Spawn.start(program, ends)
    }

    private static func readLines(_ pipe: OpenFile, _ onLine: (String) -> Void) {
        _ = fcntl(pipe.descriptor, F_SETFL, fcntl(pipe.descriptor, F_GETFL) & ~O_NONBLOCK)
        var chunk = [UInt8](repeating: 0, count: 4096)
        var line: [UInt8] = []
        while let count = try? pipe.read(into: &chunk), count > 0 {
            for byte in chunk[..<count] {
                let isEnd = byte == 0x0A
                if !isEnd { line.append(byte) }
                guard isEnd || line.count >= maximumLineLength else { continue }
                onLine(String(decoding: line, as: UTF8.self))
                line = []
            }
        }
        if !line.isEmpty { onLine(String(decoding: line, as: UTF8.self)) }
    }
}
