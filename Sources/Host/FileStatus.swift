import CHost
public import Glibc

/// What a file is, as its inode says (inode(7)).
public struct FileStatus: Sendable {
    public enum Kind: Hashable, Sendable {
        case regular, directory, symbolicLink, device, pipe, socket
    }

    /// Equal for two names of one file.
    public struct Identity: Hashable, Sendable {
        public let device: UInt64
        public let inode: UInt64
    }

    public let kind: Kind
    /// The twelve bits for permissions, set-user-ID, set-group-ID and sticky.
    public let mode: mode_t
    public let user: uid_t
    public let group: gid_t
    /// How many names the file has.
    public let linkCount: Int
    public let identity: Identity
    fileprivate let times: [timespec]

    init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFIFO: .pipe
            case S_IFSOCK: .socket
            default: .device
            }
        mode = status.st_mode & 0o7777
        user = status.st_uid
        group = status.st_gid
        linkCount = Int(status.st_nlink)
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        times = [status.st_atim, status.st_mtim]
    }

    /// The permissions without the set-user-ID, set-group-ID and sticky bits.
    public var permissions: mode_t { mode & 0o777 }
    public var hasSpecialBits: Bool { mode & 0o7000 != 0 }
    /// Whether it belongs to root or to this process's user.
    public var isOwn: Bool { user == 0 || user == geteuid() }
    public var isWritableByOthers: Bool { mode & 0o022 != 0 }
    var isSticky: Bool { mode & mode_t(S_ISVTX) != 0 }
}

extension OpenFile {
    public var status: FileStatus {
        get throws(SystemError) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw SystemError("examine", path) }
            return FileStatus(status)
        }
    }

    /// Changes the owner and the group (fchown(2)). The kernel then removes the set-user-ID and set-group-ID bits.
    public func setOwner(user: uid_t, group: gid_t) throws(SystemError) {
        guard fchown(descriptor, user, group) == 0 else { throw SystemError("change the owner of", path) }
    }

    /// - Parameter mode: the twelve bits of ``FileStatus/mode``.
    public func setMode(_ mode: mode_t) throws(SystemError) {
        guard fchmod(descriptor, mode) == 0 else { throw SystemError("change the mode of", path) }
    }

    /// Takes over when another file was read and changed; it is no error if the file system cannot store it.
    public func setTimes(of status: FileStatus) { _ = futimens(descriptor, status.times) }

    /// Removes capabilities (capabilities(7)), which give a program rights like the set-user-ID bit does.
    public func removeCapabilities() throws(SystemError) {
        guard upgradelink_remove_capabilities(descriptor) == 0 else {
            throw SystemError("remove the capabilities of", path)
        }
    }

    /// Appends the content of another file, from that file's current position.
    public func append(_ other: OpenFile) throws(SystemError) {
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = try other.read(into: &chunk)
            if count == 0 { return }
            try write(chunk.span.bytes.extracting(first: count))
        }
    }
}
