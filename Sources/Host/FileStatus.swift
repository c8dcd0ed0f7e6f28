import CHost
public import Glibc
public import UpdateCore

/// What a file is, as its inode says (inode(7)).
public struct FileStatus: Sendable {
    public enum Kind: Hashable, Sendable {
        case regular, directory, symbolicLink, device, pipe, socket
    }

    /// Equal for two names of one file.
    public struct Identity: Hashable, Sendable {
        public let device: UInt64
        public let inode: UInt64

        /// For files that are read again after a reboot. A device may have another number then.
        public var text: String { "\(inode)" }
    }

    public let kind: Kind
    /// The twelve bits for permissions, set-user-ID, set-group-ID and sticky.
    public let mode: mode_t
    public let user: uid_t
    public let group: gid_t
    /// How many names the file has.
    public let linkCount: Int
    public let identity: Identity
    public let size: ByteCount
    /// The bytes of disk space that it occupies, including those that are reserved.
    public let allocatedSize: ByteCount
    /// When the content, or the list of a directory, changed last.
    public var modified: WallTime { WallTime(unixSeconds: times.modified.unixSeconds) }
    /// When the content or the attributes changed last.
    public let changed: WallTime
    /// The bits of ``S_IFMT``.
    public let type: mode_t
    fileprivate let times: (accessed: upgradelink_moment, modified: upgradelink_moment)
    private let ownDevice: UInt64

    /// What a path leads to; nil if nothing is there, or it cannot be examined, with errno.
    public init?(_ path: String, followsLinks: Bool = true) {
        self.init(path, in: AT_FDCWD, followsLinks: followsLinks)
    }

    /// - Parameter descriptor: an open file.
    public init?(descriptor: CInt) {
        var file = upgradelink_file()
        guard upgradelink_examine_open(descriptor, &file) == 0 else { return nil }
        self.init(file)
    }

    init?(_ name: UnsafePointer<CChar>, in directory: CInt, followsLinks: Bool) {
        var file = upgradelink_file()
        guard upgradelink_examine(directory, name, followsLinks ? 1 : 0, &file) == 0 else { return nil }
        self.init(file)
    }

    private init(_ status: upgradelink_file) {
        type = status.mode & S_IFMT
        kind =
            switch type {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFIFO: .pipe
            case S_IFSOCK: .socket
            default: .device
            }
        mode = status.mode & 0o7777
        user = status.user
        group = status.group
        linkCount = Int(clamping: status.links)
        identity = Identity(device: status.device, inode: status.inode)
        size = status.size
        allocatedSize = status.allocated
        changed = WallTime(unixSeconds: status.changed.unixSeconds)
        times = (status.accessed, status.modified)
        ownDevice = status.own_device
    }

    /// The permissions without the set-user-ID, set-group-ID and sticky bits.
    public var permissions: mode_t { mode & 0o777 }
    public var hasSpecialBits: Bool { mode & 0o7000 != 0 }
    /// Whether it belongs to root or to this process's user.
    public var isOwn: Bool { user == 0 || user == geteuid() }
    public var isWritableByOthers: Bool { mode & 0o022 != 0 }
    /// A regular file, or the device `/dev/null` (null(4)), to which a configuration file can be linked to mask another one.
    var isRegularOrNull: Bool { type == S_IFREG || type == S_IFCHR && ownDevice == Self.nullDevice }

    /// `major:minor` of a device itself, as the mount table has it; nil for anything else.
    public var deviceNumber: String? {
        guard type == S_IFBLK || type == S_IFCHR else { return nil }
        // makedev(3): twelve bits of the major number above eight of the minor one, and the rest above these.
        let major = ownDevice >> 8 & 0xFFF | ownDevice >> 32 & 0xFFFF_F000
        let minor = ownDevice & 0xFF | ownDevice >> 12 & 0xFFFF_FF00
        return "\(major):\(minor)"
    }

    /// Major 1, minor 3.
    private static let nullDevice: UInt64 = 0x103

    var isSticky: Bool { mode & mode_t(S_ISVTX) != 0 }
}

extension OpenFile {
    public var status: FileStatus {
        get throws(SystemError) {
            guard let status = FileStatus(descriptor: descriptor) else { throw SystemError("examine", path) }
            return status
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
    public func setTimes(of status: FileStatus) {
        _ = upgradelink_set_times(descriptor, status.times.accessed, status.times.modified)
    }

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
