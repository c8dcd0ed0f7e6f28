public import Glibc

/// A failed system call. Its description is one line: `cannot write /x: No space left on device`.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The verb for the message: `write`, `open`.
    public let action: String
    public let path: String
    /// The errno value (errno(3)).
    public let code: CInt
    private let detail: String?

    public init(_ action: String, _ path: String, code: CInt = errno) {
        self.init(action, path, code: code, detail: nil)
    }

    private init(_ action: String, _ path: String, code: CInt, detail: String?) {
        self.action = action
        self.path = path
        self.code = code
        self.detail = detail
    }

    /// A file whose reader could wait for ever, or would never reach an end: only a regular file is read.
    ///
    /// - Parameter mode: the file's `st_mode` (inode(7)).
    public static func notRegular(_ path: String, mode: mode_t) -> SystemError {
        let kind =
            switch mode & S_IFMT {
            case S_IFDIR: "a directory"
            case S_IFIFO: "a FIFO"
            case S_IFSOCK: "a socket"
            case S_IFCHR, S_IFBLK: "a device"
            default: "a file of another kind"
            }
        return SystemError(
            "read", path, code: mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL, detail: "it is \(kind), not a regular file")
    }

    /// A write that would leave less than `download.keepFree` bytes of disk space.
    static func wouldNotFit(_ path: String, detail: String) -> SystemError {
        SystemError("write", path, code: ENOSPC, detail: detail)
    }

    public var description: String { "cannot \(action) \(path): \(reason)" }
    public var reason: String { detail ?? String(cString: strerror(code)) }
    public var isNotFound: Bool { code == ENOENT || code == ENOTDIR }
    public var isNotPermitted: Bool { code == EACCES || code == EPERM }
    /// The process or the system has no descriptor or no memory left just now.
    public var isShortage: Bool { [EMFILE, ENFILE, ENOMEM].contains(code) }
    /// See ``notRegular(_:mode:)``.
    public var isNotRegular: Bool { detail != nil && code != ENOSPC }
    /// The disk cannot read or write the file.
    public var isDiskError: Bool { code == EIO }
    /// Two paths are on different file systems, or on different mounts of one.
    public var isOtherFileSystem: Bool { code == EXDEV }
    /// The file has as many names as the file system can count, or it has no links.
    public var hasTooManyLinks: Bool { code == EMLINK || code == EOPNOTSUPP }
    /// Another process has it open.
    public var isHeld: Bool { code == EAGAIN }
    /// Something is mounted there.
    public var isBusy: Bool { code == EBUSY }
    /// A directory has the name of the file.
    public var isDirectory: Bool { code == EISDIR || code == EEXIST || code == ENOTEMPTY }
    /// A full disk, a quota, or the maximum size of a file.
    public var isNoSpace: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }
}
