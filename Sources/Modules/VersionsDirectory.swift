import Glibc
import Host

/// The directory that holds the versions of the module `directory`. It may hold other directories too: the module removes only
/// those with its mark, a file in each that it made.
struct VersionsDirectory {
    let directory: Directory
    /// As the link and other releases of the module name it.
    let path: String
    /// URLKEY-VERSIONCODE.
    private let artifact: String

    init(_ directory: Directory, path: String, artifact: String) {
        self.directory = directory
        self.path = path
        self.artifact = artifact
    }

    /// Whether this module names versions of this device so: URLKEY-VERSIONCODE, or that with ``freeName``'s ending.
    func isName(_ name: FileName) -> Bool {
        guard let key = Self.key(artifact[...]) else { return false }
        let name = name.description
        let parts = name.split(separator: ".again", maxSplits: 1, omittingEmptySubsequences: false)
        let isEnding = parts.count == 1 || parts[1].allSatisfy { $0.isASCII && $0.isNumber }
        return isEnding && Self.key(parts[0]) == key
    }

    /// URLKEY of URLKEY-VERSIONCODE.
    private static func key(_ name: Substring) -> Substring? {
        guard let dash = name.lastIndex(of: "-") else { return nil }
        let code = name[dash...].dropFirst()
        return !code.isEmpty && code.allSatisfy { $0.isASCII && $0.isNumber } ? name[..<dash] : nil
    }

    func path(of name: FileName) -> String { "\(path)/\(name)" }

    /// The name of a version of this directory; nil if the path is somewhere else.
    func name(of path: String) -> FileName? {
        guard path.hasPrefix("\(self.path)/") else { return nil }
        return FileName(String(path.dropFirst(self.path.count + 1)))
    }

    // MARK: marks

    private static let mark = FileName(".upgradelink-version")

    /// Makes the mark. A version that was packed from an installed one has another one's mark.
    static func mark(_ version: Directory, version name: String) throws {
        guard let mark else { return }
        if try version.status(of: mark)?.kind == .directory {
            throw ModuleError("the archive has a directory \(mark), which is a name of this module: leave it out")
        }
        try version.remove(mark)
        let file = try version.createFile(mark)
        let text = """
            \(name)
            The update module "directory" of upgradelinkd made this directory. It removes the directory after two more updates.

            """
        try file.write(Array(text.utf8))
        try file.setMode(0o644)
        try file.synchronize()
        try version.synchronize()
    }

    /// Whether a directory has the mark, and no other user can have made it.
    ///
    /// - Parameter isOwnName: the directory has a name that only this module gives, so that it does not matter if a program's
    ///   user got the directory later.
    private static func isMarked(_ version: Directory, isOwnName: Bool) throws -> Bool {
        let status = try version.status
        guard let mark, isOwnName || status.isOwn && !status.isWritableByOthers,
            let file = try version.status(of: mark)
        else { return false }
        return file.kind == .regular && file.isOwn && file.linkCount == 1
    }

    /// Whether this module made what has a name.
    func isMarked(_ name: FileName) throws -> Bool {
        guard let version = try version(name) else { return false }
        return try Self.isMarked(version, isOwnName: isName(name))
    }

    /// The directory with a name; nil if that is something else, such as a link.
    private func version(_ name: FileName) throws -> Directory? {
        guard try directory.status(of: name)?.kind == .directory else { return nil }
        return try directory.directory(name)
    }

    /// Marks a version that the link points to, or pointed to, so that a later update removes it.
    ///
    /// - Parameter name: one that ``isName(_:)`` accepts.
    /// - Returns: whether a version that has this name is marked.
    func adopt(_ name: FileName) throws -> Bool {
        guard let version = try version(name), try !Self.isMarked(version, isOwnName: true) else { return true }
        // It may be read-only, or have its own file system.
        guard try version.status.identity.device == directory.status.identity.device else { return false }
        try? Self.mark(version, version: name.description)
        return try Self.isMarked(version, isOwnName: true)
    }

    // MARK: removal

    /// A name for a version: no other version has it. One that this module made, and that is not needed any more, is removed.
    ///
    /// - Parameters:
    ///   - kept: what the link points to, which must not be overwritten.
    ///   - temporary: the name of what an interruption leaves behind.
    func freeName(except kept: KeptVersions, temporary: FileName) throws -> FileName {
        for ending in ["", ".again"] + (3...99).map({ ".again\($0)" }) {
            guard let candidate = FileName(artifact + ending) else {
                throw ModuleError("\"\(artifact)\" is no name of a directory: change device.urlKey")
            }
            if kept.contains(candidate, nil) { continue }
            guard let status = try directory.status(of: candidate) else { return candidate }
            guard !kept.contains(candidate, status.identity), try isMarked(candidate) else { continue }
            // Something may be mounted there.
            DirectoryModule.attempt { try remove(candidate, temporary: temporary) }
            if try directory.status(of: candidate) == nil { return candidate }
        }
        throw ModuleError(
            "\(path) has too many directories like \(artifact) that this module did not make: move them away")
    }

    /// Removes a version if this module made it.
    ///
    /// - Parameter temporary: the name of what an interruption leaves behind.
    func remove(_ name: FileName, temporary: FileName) throws {
        guard let mark = Self.mark, try isMarked(name), let version = try version(name) else { return }
        do throws(SystemError) {
            // Something may be mounted on the version itself.
            if try directory.removeIfEmpty(name) { return }
            guard try version.status.identity.device == directory.status.identity.device else {
                throw SystemError("remove", path(of: name), code: EBUSY)
            }
            // The mark is last: it shows that the rest of an interrupted removal is this module's.
            try version.removeContent(except: mark)
            try directory.removeTree(temporary)
            try directory.rename(name, to: temporary)
            try directory.removeTree(temporary)
        } catch {
            guard error.code == EBUSY || error.code == EXDEV else { throw error }
            throw ModuleError("\(error.path) cannot be removed, because something is mounted there: unmount it")
        }
    }

    /// Removes the versions that this module made.
    func removeMarked(except kept: KeptVersions, temporary: FileName) throws {
        try directory.removeTree(temporary)
        var failure: (any Error)?
        for name in try directory.names() {
            do {
                guard let version = try version(name) else { continue }
                if kept.contains(name, try version.status.identity) { continue }
                try remove(name, temporary: temporary)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
