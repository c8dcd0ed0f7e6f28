public import Glibc

/// A system call that failed, as one line: `cannot write /x: No space left on device`.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried: `write`, `open`.
    public let action: String
    public let path: String
    public let code: CInt

    public init(_ action: String, _ path: String, code: CInt = errno) {
        self.action = action
        self.path = path
        self.code = code
    }

    public var description: String { "cannot \(action) \(path): \(reason)" }
    public var reason: String { String(cString: strerror(code)) }
    public var isNotFound: Bool { code == ENOENT || code == ENOTDIR }
    public var isNoSpace: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }
}
