import CHost
public import Glibc

// What the installer needs to take a file over from the user who wrote it.

extension OpenFile {
    /// Takes a lease for reading on a file that is open for reading (F_SETLEASE of fcntl(2)). It lasts until this file is closed: a
    /// process that opens or truncates the file for writing waits for the end of the lease, at most for
    /// /proc/sys/fs/lease-break-time seconds, and ``hasReadLease`` is false from then on. The kernel then sends SIGIO to this process, which ignores it.
    ///
    /// - Throws: EAGAIN if any process has the file open for writing, or mapped so that it can write to it.
    public func takeReadLease() throws(SystemError) {
        Signals.ignore(SIGIO)
        guard upgradelink_take_read_lease(descriptor) == 0 else { throw SystemError("take a lease on", path) }
    }

    /// Whether no process has tried to open the file for writing since ``takeReadLease()``.
    public var hasReadLease: Bool { upgradelink_has_read_lease(descriptor) == 1 }

    /// Local file systems whose leases, links and permissions are those of the kernel's common code (fs/locks.c, fs/namei.c), and whose
    /// pages no process can keep for writing after it has closed a file. tmpfs is not among them: io_uring(7) can keep its pages.
    /// Overlays and network file systems are not: what a lease protects is not the file below, or not its copy on a server.
    public var hasReliableLeases: Bool {
        let kinds: [Int64] = [
            0xEF53,  // ext4, ext3, ext2
            0x5846_5342,  // xfs
            0x9123_683E,  // btrfs
            0xF2F5_2010,  // f2fs
            0x2405_1905,  // ubifs
        ]
        return kinds.contains(upgradelink_file_system_type(descriptor))
    }

    /// Whether the file has attributes (chattr(1)) such as append-only or encrypted, which could prevent or change later writes.
    public var hasInodeFlags: Bool {
        get throws(SystemError) {
            let result = upgradelink_has_inode_flags(descriptor)
            guard result >= 0 else { throw SystemError("examine", path) }
            return result != 0
        }
    }

    /// Gives the file to this process's user and group, who alone can then open it.
    public func takeOwnership() throws(SystemError) {
        try setOwner(user: geteuid(), group: getegid())
        try setMode(0o600)
    }

    /// Lets a group read the file, and only root write to it.
    public func share(withGroup group: gid_t) throws(SystemError) {
        try setOwner(user: geteuid(), group: group)
        try setMode(0o440)
    }

    /// Whether a security module of the kernel gave the file a label, by the directory in which it was created.
    public var hasSecurityLabel: Bool { upgradelink_has_label(descriptor) == 1 }

    /// Removes what else can give rights to the file, or change its meaning: access control lists (acl(5)), capabilities and the
    /// extended attributes of its former owner.
    public func removeAttributes() throws(SystemError) {
        guard upgradelink_remove_attributes(descriptor) == 0 else {
            throw SystemError("remove the extended attributes of", path)
        }
    }
}

extension Directory {
    /// Gives a file of this directory another name (linkat(2)). A symbolic link is not followed: the other name is one too.
    ///
    /// - Throws: EXDEV if the other directory is on another file system, or on another mount of it; EEXIST if anything has the
    ///   other name.
    public func link(_ name: FileName, as other: FileName, in directory: Directory) throws(SystemError) {
        guard linkat(descriptor, name.cString, directory.descriptor, other.cString, 0) == 0 else {
            throw SystemError("link", directory.path(of: other))
        }
    }

    /// Does something with two directories that needs one mount of their file system, such as a link or a rename. If they are on
    /// different ones, because of bind mounts, it is done by paths on a mount that has both.
    ///
    /// - Throws: EXDEV if there is no such mount.
    public func onOneMount(
        with other: Directory, _ body: (Directory, Directory) throws(SystemError) -> Void
    ) throws(SystemError) {
        do throws(SystemError) {
            try body(self, other)
        } catch {
            guard error.isOtherFileSystem, let (one, second) = counterparts(other) else { throw error }
            try body(one, second)
        }
    }

    /// The same two directories on one mount.
    private func counterparts(_ other: Directory) -> (Directory, Directory)? {
        guard
            let paths = MountTable.current.pathsOnOneMount(Files.resolved(path), Files.resolved(other.path)),
            let one = try? Directory(paths.0), let second = try? Directory(paths.1),
            let found = try? (one.status.identity, second.status.identity),
            let wanted = try? (status.identity, other.status.identity), found == wanted
        else { return nil }
        return (one, second)
    }
}
