import CHost
public import Glibc
public import UpdateCore

/// File operations. A reader reads a whole file up to a limit. After a power cut, a replaced file has its old or its new
/// content.
public enum Files {
    /// Reads the whole file. Another user may have planted something else in its place: that is neither waited for nor read.
    ///
    /// - Parameter limit: bytes; a longer file is an EFBIG error.
    /// - Throws: ``SystemError/notRegular(_:mode:)`` for a FIFO, a device, a socket or a directory.
    public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        try read(try open(path), limit: limit)
    }

    /// Opens a regular file for reading.
    ///
    /// - Throws: ``SystemError/notRegular(_:mode:)`` for a FIFO, a device, a socket or a directory.
    public static func open(_ path: String) throws(SystemError) -> OpenFile {
        // Before it is opened: opening a device can have an effect of its own, such as starting a watchdog.
        if let status = FileStatus(path), !status.isRegularOrNull { throw .notRegular(path, mode: status.type) }
        let file = try OpenFile(path, O_RDONLY)
        try file.requireRegular()
        return file
    }

    /// Opens a file for flock(2), to which it does not matter what the file is: a directory is locked like a file.
    static func openLock(_ path: String) throws(SystemError) -> OpenFile {
        do throws(SystemError) {
            return try OpenFile(path, O_RDWR | O_CREAT)
        } catch {
            switch error.code {
            case EISDIR: return try OpenFile(path, O_RDONLY)
            case ENXIO:
                // A socket cannot be opened.
                try remove(path)
                return try OpenFile(path, O_RDWR | O_CREAT)
            default: throw error
            }
        }
    }

    /// Renames what is at a path to `PATH.damaged`, in place of anything that has this name.
    public static func setAside(_ path: String) throws(SystemError) {
        try removeTree(path + ".damaged")
        try rename(path, to: path + ".damaged")
    }

    /// Removes what is at a path, unless that is a regular file or nothing.
    public static func removeUnlessRegular(_ path: String) throws(SystemError) {
        if let status = FileStatus(path, followsLinks: false), status.kind != .regular { try removeTree(path) }
    }

    /// Reads an open file from its current position to its end.
    ///
    /// - Parameter limit: bytes; more are an EFBIG error.
    /// - Throws: ``SystemError/notRegular(_:mode:)`` for a FIFO, a device, a socket or a directory.
    public static func read(_ file: OpenFile, limit: Int) throws(SystemError) -> [UInt8] {
        try file.requireRegular()
        var content = [UInt8]()
        var chunk = [UInt8](repeating: 0, count: min(limit + 1, 65_536))
        while true {
            let count = try file.read(into: &chunk)
            if count == 0 { return content }
            content += chunk[..<count]
            if content.count > limit { throw SystemError("read", file.path, code: EFBIG) }
        }
    }

    /// Replaces the file: writes and syncs a temporary file, renames it over the old one, and syncs the directory.
    ///
    /// - Throws: if a step fails. The old file is unchanged, except if only the last sync failed.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws(SystemError) {
        let temporary = path + ".new"
        do throws(SystemError) {
            // A new file: what a power cut or another user left under this name is not written to.
            unlink(temporary)
            let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
            try file.write(bytes)
            try file.synchronize()
            try rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Renames a file, and syncs the directory so that the new name survives a power cut.
    public static func rename(_ from: String, to path: String) throws(SystemError) {
        guard Glibc.rename(from, path) == 0 else { throw SystemError("rename to", path) }
        try synchronizeDirectory(of: path)
    }

    /// Gives a file a second name (link(2)), in place of a file that has that name.
    public static func link(_ path: String, as name: String) throws(SystemError) {
        unlink(name)
        guard Glibc.link(path, name) == 0 else { throw SystemError("link", name) }
    }

    /// Removes a file, and syncs the directory. It is no error if the file does not exist.
    public static func remove(_ path: String) throws(SystemError) {
        guard unlink(path) == 0 else {
            if errno == ENOENT { return }
            throw SystemError("remove", path)
        }
        try synchronizeDirectory(of: path)
    }

    /// Removes a file, or a directory with its content. Symbolic links are removed, not followed, except those on the way to
    /// `path`. It is no error if the path does not exist.
    ///
    /// - Throws: EBUSY at a directory that something is mounted on; what is mounted there stays as it is.
    public static func removeTree(_ path: String) throws(SystemError) {
        guard let last = path.split(separator: "/").last, let name = FileName(String(last)) else {
            throw SystemError("remove", path, code: EINVAL)
        }
        let above: Directory
        do throws(SystemError) {
            above = try Directory(directory(of: String(path[..<last.endIndex])))
        } catch {
            if error.code == ENOENT { return }
            throw error
        }
        try above.removeTree(name)
    }

    /// The target of a symbolic link; nil if there is no link that can be read.
    public static func linkTarget(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Syncs the directory that contains a path, so that created, renamed and removed names survive a power cut.
    public static func synchronizeDirectory(of path: String) throws(SystemError) {
        try OpenFile(directory(of: path), O_RDONLY | O_DIRECTORY).synchronize()
    }

    /// Creates the directory with this mode, and missing directories above it with mode 0755, each without the bits of the umask.
    /// It is no error if it exists.
    public static func createDirectory(_ path: String, mode: mode_t = 0o700) throws(SystemError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, path != "/", !path.isEmpty else { throw SystemError("create", path) }
        try createDirectory(directory(of: path), mode: 0o755)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw SystemError("create", path) }
    }

    /// Creates a directory with a unique name, `PREFIX.` and six characters, that only this user can enter.
    public static func createTemporaryDirectory(_ prefix: String) throws(SystemError) -> String {
        // mkdtemp(3) replaces the six X.
        var template = Array((prefix + "." + String(repeating: "X", count: 6)).utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("make a directory like", prefix) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The names in a directory, sorted, without `.` and `..`.
    public static func list(_ path: String) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else { throw SystemError("list", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = upgradelink_next_name(UnsafeMutableRawPointer(directory)) {
            let name = String(cString: entry)
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether the path is a symbolic link.
    public static func isLink(_ path: String) -> Bool {
        FileStatus(path, followsLinks: false)?.kind == .symbolicLink
    }

    /// When the file's content, or the list of a directory, was last changed; nil if it cannot be examined.
    public static func modificationTime(_ path: String) -> WallTime? {
        FileStatus(path)?.modified
    }

    /// When a symbolic link was made; nil if it cannot be examined.
    public static func linkModificationTime(_ path: String) -> WallTime? {
        FileStatus(path, followsLinks: false)?.modified
    }

    /// When the content or the attributes of a file changed last (st_ctime); nil if it is not there. Unlike the modification time,
    /// it says when a package brought the file.
    public static func statusChange(of path: String) -> WallTime? {
        FileStatus(path)?.changed
    }

    /// Whether this process may execute the file (access(2)).
    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    /// Whether this process may create files in the directory (access(2)).
    public static func isWritable(_ directory: String) -> Bool { access(directory, W_OK | X_OK) == 0 }

    /// Whether users other than the owner and the group may read the file; false if it cannot be examined.
    public static func isReadableByOthers(_ path: String) -> Bool {
        FileStatus(path).map { $0.mode & 0o004 != 0 } ?? false
    }

    /// The bytes that an unprivileged process can still write on the file system.
    public static func freeSpace(at path: String) throws(SystemError) -> ByteCount {
        var space = upgradelink_space()
        guard upgradelink_space(path, &space) == 0 else { throw SystemError("examine", path) }
        return space.free
    }

    /// Whether no file can be created because the file system has no free inode; nil if it cannot be examined. A file system
    /// without a fixed number of inodes reports none.
    public static func hasNoFreeInode(at path: String) -> Bool? {
        var space = upgradelink_space()
        guard upgradelink_space(path, &space) == 0 else { return nil }
        return space.inodes > 0 && space.free_inodes == 0
    }

    /// Checks that a new file fits.
    ///
    /// - Parameters:
    ///   - count: bytes of the file.
    ///   - keepFree: bytes that must stay free (`download.keepFree`).
    /// - Throws: ENOSPC if it does not fit.
    public static func checkSpace(for count: ByteCount, at path: String, keepFree: ByteCount) throws(SystemError) {
        let free = try freeSpace(at: directory(of: path))
        guard count > free || keepFree > free - count else { return }
        throw .wouldNotFit(
            path,
            detail: "it needs \(describe(bytes: count)), \(describe(bytes: free)) are free and "
                + "\(describe(configuredSize: keepFree)) must stay so (download.keepFree)")
    }

    /// The path without its last name; `.` if it has no slash.
    public static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// Locks a directory against a second process of the same kind, as long as this object lives (flock(2)).
public final class DirectoryLock: Sendable {
    private let file: OpenFile

    /// - Parameter waits: whether to wait until another process releases the directory.
    /// - Throws: EWOULDBLOCK if another process holds the directory and `waits` is false.
    public init(_ directory: String, waits: Bool = false) throws(SystemError) {
        file = try Files.openLock("\(directory)/lock")
        while flock(file.descriptor, waits ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            if errno != EINTR { throw SystemError("lock", directory) }
        }
    }

    /// Whether the directory still has the file that is locked. Otherwise it was removed or emptied, and another process can lock
    /// its successor.
    public var isInPlace: Bool {
        guard let own = FileStatus(descriptor: file.descriptor), let found = FileStatus(file.path) else { return false }
        return own.identity == found.identity
    }

    /// Releases the directory before this object ends.
    public func release() { flock(file.descriptor, LOCK_UN) }
}
