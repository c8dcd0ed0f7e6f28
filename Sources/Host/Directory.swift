import CHost
public import Glibc

/// An open directory. The names that its functions take are names in this directory, even if it has been renamed or another
/// directory has its path now; no function follows a symbolic link that has one of these names.
///
/// A change of names survives a power cut after ``synchronize()``.
public final class Directory: Sendable {
    /// For messages: the path that the directory was opened with.
    public let path: String
    /// Its owner and mode can be changed like those of a file.
    public let handle: OpenFile
    var descriptor: CInt { handle.descriptor }

    /// Opens a directory; symbolic links in the path are followed.
    public convenience init(_ path: String) throws(SystemError) {
        let descriptor = upgradelink_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SystemError("open", path) }
        self.init(OpenFile(descriptor: descriptor, path: path), path: path)
    }

    private init(_ handle: OpenFile, path: String) {
        self.handle = handle
        self.path = path
    }

    public var status: FileStatus { get throws(SystemError) { try handle.status } }

    public func synchronize() throws(SystemError) { try handle.synchronize() }

    /// Writes everything to the disk that the directory's file system has not written yet (syncfs(2)).
    public func synchronizeFileSystem() throws(SystemError) {
        guard upgradelink_sync_file_system(descriptor) == 0 else { throw SystemError("sync", path) }
    }

    /// The path of a name, for messages. It stops growing at a length that no path of a call can have.
    public func path(of name: FileName) -> String {
        path.utf8.count > Int(PATH_MAX) ? path : path == "/" ? "/\(name)" : "\(path)/\(name)"
    }

    // MARK: opening

    /// Opens a directory in this one. ENOTDIR if it is something else; a symbolic link is something else.
    public func directory(_ name: FileName) throws(SystemError) -> Directory {
        try opened(name.cString, at: path(of: name))
    }

    /// The directory above this one.
    func parent() throws(SystemError) -> Directory {
        try opened([0x2E, 0x2E, 0], at: path == "/" ? "/" : Files.directory(of: path))
    }

    private func opened(_ name: [CChar], at path: String) throws(SystemError) -> Directory {
        let descriptor = upgradelink_open_at(
            self.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SystemError("open", path) }
        return Directory(OpenFile(descriptor: descriptor, path: path), path: path)
    }

    /// Opens a regular file for reading. Anything else is an error, and does not block: ELOOP for a symbolic link.
    public func file(_ name: FileName) throws(SystemError) -> OpenFile {
        let path = path(of: name)
        let descriptor = upgradelink_open_at(
            self.descriptor, name.cString, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SystemError("open", path) }
        let file = OpenFile(descriptor: descriptor, path: path)
        guard file.isRegular else { throw SystemError("read", path, code: EINVAL) }
        return file
    }

    // MARK: creating

    /// Creates a file that did not exist, for writing.
    ///
    /// - Throws: EEXIST if anything has this name, a symbolic link too.
    public func createFile(_ name: FileName, mode: mode_t = 0o600) throws(SystemError) -> OpenFile {
        let path = path(of: name)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = upgradelink_open_at(self.descriptor, name.cString, flags, mode)
        guard descriptor >= 0 else { throw SystemError("create", path) }
        return OpenFile(descriptor: descriptor, path: path)
    }

    /// Creates a directory that did not exist: EEXIST if anything has this name.
    public func createDirectory(_ name: FileName, mode: mode_t) throws(SystemError) {
        guard mkdirat(descriptor, name.cString, mode) == 0 else { throw SystemError("create", path(of: name)) }
    }

    /// Creates a symbolic link: EEXIST if anything has this name.
    public func createLink(_ name: FileName, to target: [UInt8]) throws(SystemError) {
        guard symlinkat(target.map { CChar(bitPattern: $0) } + [0], descriptor, name.cString) == 0 else {
            throw SystemError("create", path(of: name))
        }
    }

    /// Renames what has a name, in place of a file or a link that has the other name.
    ///
    /// - Parameter directory: the directory of the other name; nil: this one.
    public func rename(
        _ name: FileName, to other: FileName, in directory: Directory? = nil
    ) throws(SystemError) {
        let directory = directory ?? self
        guard renameat(descriptor, name.cString, directory.descriptor, other.cString) == 0 else {
            throw SystemError("rename to", directory.path(of: other))
        }
    }

    /// Removes a file or a link; it is no error if nothing has this name.
    public func remove(_ name: FileName) throws(SystemError) { try unlink(name, 0) }

    func unlink(_ name: FileName, _ flags: CInt) throws(SystemError) {
        guard unlinkat(descriptor, name.cString, flags) != 0, errno != ENOENT else { return }
        let error = SystemError("remove", path(of: name))
        // On a read-only file system, the kernel does not look for the name first.
        if error.code == EROFS, try status(of: name) == nil { return }
        throw error
    }

    // MARK: reading

    /// What has this name, a symbolic link itself included; nil if nothing has.
    public func status(of name: FileName) throws(SystemError) -> FileStatus? {
        if let status = FileStatus(name.cString, in: descriptor, followsLinks: false) { return status }
        if errno == ENOENT { return nil }
        throw SystemError("examine", path(of: name))
    }

    /// The file that a path leads to from this directory, symbolic links followed; nil if it leads to none.
    public func target(of path: [UInt8]) -> FileStatus? {
        FileStatus(path.map { CChar(bitPattern: $0) } + [0], in: descriptor, followsLinks: true)
    }

    /// The bytes of a symbolic link.
    public func link(_ name: FileName) throws(SystemError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(descriptor, name.cString, &buffer, buffer.count)
        guard count >= 0 else { throw SystemError("read the link", path(of: name)) }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }

    /// The names in this directory, sorted, without `.` and `..`.
    public func names() throws(SystemError) -> [FileName] {
        // A descriptor of its own, whose position is the start.
        let own = upgradelink_open_at(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard own >= 0, let stream = fdopendir(own) else {
            let error = SystemError("list", path)
            if own >= 0 { close(own) }
            throw error
        }
        defer { closedir(stream) }
        var names: [FileName] = []
        while let entry = upgradelink_next_name(UnsafeMutableRawPointer(stream)) {
            let bytes = Array(UnsafeRawBufferPointer(start: entry, count: strlen(entry)))
            if let name = FileName(bytes) { names.append(name) }
        }
        guard errno == 0 else { throw SystemError("list", path) }
        return names.sorted()
    }

    /// Changes the owner of a file or of a symbolic link itself.
    public func setOwner(of name: FileName, user: uid_t, group: gid_t) throws(SystemError) {
        guard fchownat(descriptor, name.cString, user, group, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("change the owner of", path(of: name))
        }
    }
}
