public import Glibc

/// Files as the agent needs them: read whole and bounded, written so that a power cut leaves the old or the new one.
public enum Files {
    /// The whole file; a longer one than `limit` is an EFBIG error.
    public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        try read(try OpenFile(path, O_RDONLY), limit: limit)
    }

    /// What is left of an open file; more than `limit` bytes are an EFBIG error.
    public static func read(_ file: OpenFile, limit: Int) throws(SystemError) -> [UInt8] {
        var content = [UInt8]()
        var chunk = [UInt8](repeating: 0, count: min(limit + 1, 65_536))
        while true {
            let count = try file.read(into: &chunk)
            if count == 0 { return content }
            content += chunk[..<count]
            if content.count > limit { throw SystemError("read", file.path, code: EFBIG) }
        }
    }

    /// Replaces the file: a temporary file is written and synced, renamed over the old one, and the folder is synced.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws(SystemError) {
        let temporary = path + ".new"
        do throws(SystemError) {
            let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
            try file.write(bytes)
            try file.synchronize()
            try rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Renames, and makes the renaming last.
    public static func rename(_ from: String, to path: String) throws(SystemError) {
        guard Glibc.rename(from, path) == 0 else { throw SystemError("rename to", path) }
        try synchronizeFolder(of: path)
    }

    /// Removes a file, and makes that last. A file that is not there is no error.
    public static func remove(_ path: String) throws(SystemError) {
        guard unlink(path) == 0 else {
            if errno == ENOENT { return }
            throw SystemError("remove", path)
        }
        try synchronizeFolder(of: path)
    }

    /// Removes a file or a folder with all that is in it, without following links out of it.
    public static func removeTree(_ path: String) throws(SystemError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw SystemError("examine", path)
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try list(path) { try removeTree("\(path)/\(name)") }
            guard rmdir(path) == 0 else { throw SystemError("remove", path) }
        } else {
            guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("remove", path) }
        }
    }

    /// What a symbolic link says; nil where there is none to be read.
    public static func linkTarget(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public static func synchronizeFolder(of path: String) throws(SystemError) {
        try OpenFile(folder(of: path), O_RDONLY | O_DIRECTORY).synchronize()
    }

    /// Creates the folder and those above it.
    public static func createFolder(_ path: String, mode: mode_t = 0o700) throws(SystemError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, path != "/", !path.isEmpty else { throw SystemError("create", path) }
        try createFolder(folder(of: path), mode: 0o755)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw SystemError("create", path) }
    }

    /// Makes a folder of a name of its own, `PREFIX.` and something, that only this user can enter.
    public static func createTemporaryFolder(_ prefix: String) throws(SystemError) -> String {
        // What mkdtemp(3) fills in.
        var template = Array((prefix + "." + String(repeating: "X", count: 6)).utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("make a folder like", prefix) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The names in a folder, sorted, without `.` and `..`.
    public static func list(_ path: String) throws(SystemError) -> [String] {
        guard let folder = opendir(path) else { throw SystemError("list", path) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    /// Whether others than the owner and the group may read the file.
    public static func isReadableByOthers(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o004 != 0
    }

    /// The first folder on the way to `path`, itself included, as far as they are there, in which somebody but root could put
    /// something else in place of what follows; nil where there is none.
    public static func firstUnsafeFolder(onTheWayTo path: String) -> String? {
        var folder = ""
        for name in [Substring("")] + path.split(separator: "/") {
            if !name.isEmpty { folder += "/\(name)" }
            let place = folder.isEmpty ? "/" : folder
            var status = stat()
            guard lstat(place, &status) == 0 else { return nil }
            // A link of root's own leads where root wants.
            if status.st_uid == 0, status.st_mode & S_IFMT == S_IFLNK, stat(place, &status) != 0 { return place }
            // In a sticky folder others cannot rename what is not theirs.
            let isShared = status.st_mode & 0o022 != 0 && status.st_mode & mode_t(S_ISVTX) == 0
            if status.st_uid != 0 || isShared || status.st_mode & S_IFMT != S_IFDIR { return place }
        }
        return nil
    }

    /// Bytes that an unprivileged process may still write on the file system.
    public static func freeSpace(at path: String) throws(SystemError) -> Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw SystemError("examine", path) }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    public static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// Keeps a second process of the same kind out of a folder, for as long as this object lives.
public final class FolderLock: Sendable {
    private let file: OpenFile

    /// Throws EWOULDBLOCK where another process holds the folder, unless `waits` is true.
    public init(_ folder: String, waits: Bool = false) throws(SystemError) {
        file = try OpenFile("\(folder)/lock", O_RDWR | O_CREAT)
        while flock(file.descriptor, waits ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            if errno != EINTR { throw SystemError("lock", folder) }
        }
    }
}
