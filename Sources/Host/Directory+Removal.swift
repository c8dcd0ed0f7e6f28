import Glibc

/// The entries of a directory and of the directories in it, one after another. It needs two descriptors, however deep the
/// directories are.
public struct DirectoryWalk {
    public enum Step {
        /// ``DirectoryWalk/enter()`` enters it if it is a directory.
        case entry(Directory, FileName, FileStatus)
        /// All entries of a directory that was entered have been visited; it is a name in this directory.
        case left(Directory, FileName)
    }

    private struct Level {
        /// In the directory above.
        var name: FileName
        var identity: FileStatus.Identity
        /// Not visited yet, the next one last.
        var names: [FileName]
    }

    private let top: Directory
    private let identity: FileStatus.Identity
    private var names: [FileName]
    private var levels: [Level] = []
    private var current: Directory
    private var visited: FileName?

    public init(_ directory: Directory) throws(SystemError) {
        (top, current) = (directory, directory)
        identity = try directory.status.identity
        names = try directory.names().reversed()
    }

    /// Nil at the end.
    public mutating func next() throws(SystemError) -> Step? {
        while true {
            let name = levels.isEmpty ? names.popLast() : levels[levels.count - 1].names.popLast()
            if let name {
                visited = name
                guard let status = try current.status(of: name) else { continue }
                return .entry(current, name, status)
            }
            visited = nil
            guard let done = levels.popLast() else { return nil }
            let above = levels.isEmpty ? top : try current.parent()
            // Another process may have moved the directory somewhere else.
            guard try above.status.identity == levels.last?.identity ?? identity else {
                throw SystemError("leave", current.path, code: ESTALE)
            }
            current = above
            return .left(above, done.name)
        }
    }

    /// Enters the directory of the last step.
    ///
    /// - Throws: EXDEV if it is on another file system.
    public mutating func enter() throws(SystemError) {
        guard let name = visited else { return }
        let next = try current.directory(name)
        let identity = try next.status.identity
        guard identity.device == self.identity.device else { throw SystemError("enter", next.path, code: EXDEV) }
        levels.append(Level(name: name, identity: identity, names: try next.names().reversed()))
        current = next
        visited = nil
    }
}

extension Directory {
    /// Removes a file, or a directory with its content. Symbolic links are removed, not followed. It is no error if nothing has
    /// this name.
    ///
    /// - Throws: EBUSY at a directory that something is mounted on; what is mounted there stays as it is.
    public func removeTree(_ name: FileName) throws(SystemError) {
        guard let status = try status(of: name) else { return }
        guard status.kind == .directory else { return try remove(name) }
        if try removeIfEmpty(name) { return }
        try directory(name).removeContent()
        try removeDirectory(name)
    }

    /// Removes everything in this directory, as ``removeTree(_:)`` does.
    ///
    /// - Parameter kept: a name that stays.
    public func removeContent(except kept: FileName? = nil) throws(SystemError) {
        let device = try status.identity.device
        var walk = try DirectoryWalk(self)
        while let step = try walk.next() {
            switch step {
            case .entry(let directory, let name, let status):
                if directory === self, name == kept { continue }
                if status.kind != .directory {
                    try directory.remove(name)
                } else if try !directory.removeIfEmpty(name) {
                    guard status.identity.device == device else {
                        throw SystemError("remove", directory.path(of: name), code: EBUSY)
                    }
                    try walk.enter()
                }
            case .left(let directory, let name): try directory.removeDirectory(name)
            }
        }
    }

    /// Removes an empty directory; it is no error if nothing has this name.
    public func removeDirectory(_ name: FileName) throws(SystemError) { try unlink(name, AT_REMOVEDIR) }

    /// Removes a directory if it is empty.
    ///
    /// - Returns: whether it is gone.
    /// - Throws: EBUSY if something is mounted there, which may be the same file system at another place: the kernel checks this
    ///   before it looks for content (rmdir(2)).
    public func removeIfEmpty(_ name: FileName) throws(SystemError) -> Bool {
        if unlinkat(descriptor, name.cString, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
        guard errno == ENOTEMPTY || errno == EEXIST else { throw SystemError("remove", path(of: name)) }
        return false
    }
}
