import Glibc

/// A pipe whose ends have `FD_CLOEXEC`, so that no child inherits them by accident. Reading does not block.
public enum Pipe {
    /// The caller closes both ends.
    public static func make() throws(SystemError) -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError("open", "a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return (ends[0], ends[1])
    }
}
