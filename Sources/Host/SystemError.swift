public import Glibc

/// A failed system call. Its description is one line: `cannot write /x: No space left on device`.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The verb for the message: `write`, `open`.
    public let action: String
    public let path: String
    /// The errno value (errno(3)).
    public let code: CInt

    public init(_ action: String, _ path: String, code: CInt = errno) {
        self.action = action
        self.path = path
        self.code = code
    }

    public var description: String { "cannot \(action) \(path): \(reason)" }
    public var reason: String { String(cString: strerror(code)) }
    public var isNotFound: Bool { code == ENOENT || code == ENOTDIR }
    /// The process or the system has no descriptor or no memory left just now.
    public var isShortage: Bool { [EMFILE, ENFILE, ENOMEM].contains(code) }
    /// A full disk, a quota, or the maximum size of a file.
    public var isNoSpace: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }
}
