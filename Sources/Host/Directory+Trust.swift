import Glibc

/// Users other than root, and other than the user of this process, can change the names in a directory, or it is no directory.
public struct UntrustedDirectory: Error, CustomStringConvertible {
    /// The directory, or what is in its place, such as a symbolic link of another user.
    public let place: String
    /// The owner, if that is another user.
    public let owner: UInt32?

    /// What is wrong.
    public let reason: String
    /// What to do, except to use another directory; nil if other programs need the place as it is: a sticky directory, or one
    /// that is only on the way.
    public let remedy: String?

    public var description: String { "\(reason): \(remedy ?? "use another directory")" }

    /// - Parameter isNeeded: whether other programs need the place as it is.
    fileprivate init(_ place: String, owner: UInt32?, isNeeded: Bool) {
        self.place = place
        self.owner = owner
        let user = geteuid() == 0 ? "root" : "this user"
        let chmod = "chmod go-w \(place)"
        if let owner {
            reason = "\(place) belongs to user \(owner), and not to \(user)"
            remedy = isNeeded ? nil : "chown root \(place) && \(chmod)"
        } else {
            reason = "others than \(user) can write to \(place)"
            remedy = isNeeded ? nil : chmod
        }
    }

    fileprivate init(link place: String, owner: UInt32) {
        self.place = place
        self.owner = owner
        reason = "\(place) is a symbolic link of user \(owner)"
        remedy = "remove it, or give it to root (chown -h root \(place))"
    }

    /// A name on the way that leads to no directory.
    fileprivate init(_ error: SystemError) {
        place = error.path
        owner = nil
        switch error.code {
        case ENOTDIR: (reason, remedy) = ("\(place) is not a directory", "move it away")
        case ELOOP: (reason, remedy) = ("\(place) is one of symbolic links that lead to each other", "remove it")
        default: (reason, remedy) = ("\(place) cannot be a directory: \(error.reason)", nil)
        }
    }
}

extension Directory {
    /// Opens a directory that this process can create and replace files in without following what another user has planted:
    /// root, or the user of this process, owns it and every directory on the way to it, and others cannot write to them. A
    /// sticky directory such as /tmp may be on the way, but not be the last, because everybody can plant a new name in it.
    ///
    /// - Parameters:
    ///   - path: an absolute path. Symbolic links of root, and of the user of this process, are followed.
    ///   - creates: creates missing directories, with mode 0755.
    ///   - trustsLast: whether also the directory itself is checked, and not only those on the way to it.
    /// - Throws: ``UntrustedDirectory``, or ``SystemError``.
    public static func trusted(
        _ path: String, creates: Bool = false, trustsLast: Bool = true
    ) throws -> Directory {
        guard path.hasPrefix("/") else { throw SystemError("open", path, code: EINVAL) }
        var names = components(Array(path.utf8))
        var directory = try Directory("/")
        try directory.check(isLast: names.isEmpty)
        var links = 0
        while let component = names.popLast() {
            if component == [0x2E, 0x2E] {
                // The directory above was checked on the way to this one.
                directory = try directory.parent()
                continue
            }
            guard let name = FileName(component) else { throw SystemError("open", path, code: EINVAL) }
            guard let status = try directory.status(of: name) else {
                guard creates else { throw SystemError("open", directory.path(of: name), code: ENOENT) }
                // In a sticky directory another user may be faster; the owner is checked below.
                do throws(SystemError) {
                    try directory.createDirectory(name, mode: 0o755)
                    try directory.synchronize()
                } catch {
                    guard error.code == EEXIST else { throw error }
                }
                names.append(component)
                continue
            }
            if status.kind == .symbolicLink {
                let place = directory.path(of: name)
                guard status.isOwn else { throw UntrustedDirectory(link: place, owner: status.user) }
                links += 1
                guard links <= 40 else { throw SystemError("open", place, code: ELOOP) }
                let target = try directory.link(name)
                if target.first == 0x2F { directory = try Directory("/") }
                names += components(target)
                continue
            }
            directory = try directory.directory(name)
            if !names.isEmpty { try directory.check(isLast: false) }
        }
        if trustsLast { try directory.check(isLast: true) }
        return directory
    }

    /// The first directory on the way to `path`, `path` included, in which users other than root and than the user of this
    /// process can change names, or which is no directory, and why; nil if there is none. It ends
    /// at a name that does not exist: call it again after the directory has been created.
    ///
    /// - Throws: an error that says nothing about the directories, such as EMFILE.
    public static func distrust(onTheWayTo path: String) throws(SystemError) -> UntrustedDirectory? {
        do {
            _ = try trusted(path)
            return nil
        } catch let error as UntrustedDirectory {
            return error
        } catch {
            guard let error = error as? SystemError else {
                return UntrustedDirectory(SystemError("open", path, code: EINVAL))
            }
            switch error.code {
            case ENOENT: return nil
            case ENOTDIR, ELOOP, EINVAL, ENAMETOOLONG: return UntrustedDirectory(error)
            default: throw error
            }
        }
    }

    /// The place of ``distrust(onTheWayTo:)``.
    public static func firstUntrusted(onTheWayTo path: String) throws(SystemError) -> String? {
        try distrust(onTheWayTo: path)?.place
    }

    /// The names of a path, the first one last; `.` and empty names are left out.
    private static func components(_ path: [UInt8]) -> [[UInt8]] {
        path.split(separator: 0x2F).map(Array.init).filter { $0 != [0x2E] }.reversed()
    }

    /// - Parameter isLast: whether new names are created in it. Users cannot rename the files of others in a sticky directory,
    ///   but create new ones.
    private func check(isLast: Bool) throws {
        let status = try status
        let isNeeded = status.isSticky || !isLast
        guard status.isOwn else { throw UntrustedDirectory(path, owner: status.user, isNeeded: isNeeded) }
        guard !status.isWritableByOthers || status.isSticky && !isLast else {
            throw UntrustedDirectory(path, owner: nil, isNeeded: isNeeded)
        }
    }
}
