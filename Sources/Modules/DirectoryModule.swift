import Glibc
import Host
import UpdateCore

/// The update module `directory` unpacks a tar archive into a directory of its own and changes a symbolic link to point to it. A
/// rollback restores the link.
///
/// Options (`install.files`): `link`, the absolute path of the link that programs use; `versions`, the directory that holds the
/// versions, else LINK.versions; `owners` and `special`, see ``UnpackedArchive``. The module keeps the version before the current
/// one, and removes older ones at the end of a successful update: only directories that have its mark.
struct DirectoryModule: Module {
    static let name = "directory"
    static let needsReboot = "No"
    static let supportsRollback = "Yes"

    /// Under which the tree remembers the path of the new version. Another release of this module may roll back, and 0.1.0 chose
    /// the name.
    static let newVersion = "folder"

    private let tree: ModuleTree

    init(_ tree: ModuleTree) { self.tree = tree }

    func enter(_ state: ModuleState) throws {
        switch state {
        case .install: try install()
        case .rollback: try rollBack()
        // From now on Cleanup may remove all versions except the current one and the one before.
        case .commit: try tree.remember("committed", "yes")
        case .cleanup: try cleanUp()
        case .verifyReboot, .verifyRollbackReboot, .other: break
        }
    }

    // MARK: options

    private func linkPath() throws -> String {
        guard let path = try tree.option("link") else {
            throw ModuleError("no link: set install.files.link to the absolute path of the link to switch")
        }
        return path
    }

    private func link(creates: Bool, trustsLast: Bool = true) throws -> Place {
        try Place(linkPath(), option: "link", creates: creates, trustsLast: trustsLast)
    }

    /// The directory that holds the versions, as the link names it.
    private func versionsPath() throws -> String {
        let path = try tree.option("versions") ?? linkPath() + ".versions"
        guard path.hasPrefix("/") else {
            throw ModuleError("\(path) is not an absolute path: set install.files.versions to a directory")
        }
        return path
    }

    private func versions(creates: Bool, trustsLast: Bool = true) throws -> VersionsDirectory {
        let path = try versionsPath()
        return VersionsDirectory(
            try Place.directory(path, option: "versions", creates: creates, trustsLast: trustsLast), path: path,
            artifact: try tree.artifactName)
    }

    private func requireLink(_ link: Place) throws {
        switch try link.directory.status(of: link.name)?.kind {
        case nil, .symbolicLink: break
        default: throw ModuleError("\(link.path) exists and is not a symbolic link: move it away")
        }
    }

    /// What the link points to; empty if there is none.
    private func target(of link: Place) throws -> String {
        guard try link.directory.status(of: link.name) != nil else { return "" }
        // The module remembers it as a line.
        let bytes = try link.directory.link(link.name)
        guard let target = String(validating: bytes, as: UTF8.self), !target.contains("\n") else {
            throw ModuleError("\(link.path) points to a path that is not UTF-8, or has line breaks: change the link")
        }
        return target
    }

    /// What is in the archive, which may be more than its own size if it is compressed.
    func spaceNeeds() throws -> [SpaceNeed] {
        var directory = try versionsPath()
        while !Files.exists(directory), directory != "/" { directory = Files.directory(of: directory) }
        return [SpaceNeed(directory: directory, percent: 100)]
    }

    // MARK: installation

    private func install() throws {
        let link = try link(creates: true)
        try requireLink(link)
        _ = try tree.artifact()
        try tree.begin()
        let archive = try UnpackedArchive(owners: tree.option("owners"), special: tree.option("special"))
        let versions = try versions(creates: true)
        let name = try newName(versions, link)
        // It got its name when it was complete. If this state begins again, the link may already point to it.
        if try !versions.isMarked(name) { try unpack(archive, as: name, in: versions) }
        try point(link, to: "\(versions.path)/\(name)")
    }

    private func unpack(_ archive: UnpackedArchive, as name: FileName, in versions: VersionsDirectory) throws {
        let unpacked = try tree.temporaryName("")
        try versions.directory.removeTree(unpacked)
        try versions.directory.createDirectory(unpacked, mode: 0o700)
        do {
            let above = try versions.directory.directory(unpacked)
            let content = try archive.unpack(tree.artifactPath, into: unpacked, in: above)
            try VersionsDirectory.mark(content, version: tree.artifactName)
            try content.synchronizeFileSystem()
            try above.rename(unpacked, to: name, in: versions.directory)
            try versions.directory.removeDirectory(unpacked)
        } catch {
            try? versions.directory.removeTree(unpacked)
            throw error
        }
        try versions.directory.synchronize()
    }

    /// Chooses the name of the new version, and remembers it together with what the link pointed to. If this state begins again,
    /// the link may already point to the new version.
    private func newName(_ versions: VersionsDirectory, _ link: Place) throws -> FileName {
        if let path = try tree.recall(Self.newVersion), let name = versions.name(of: path) { return name }
        let before = try target(of: link)
        let name = try versions.freeName(
            except: KeptVersions([before], of: link, in: versions), temporary: tree.temporaryName(""))
        try tree.remember("before", before)
        try tree.remember(Self.newVersion, "\(versions.path)/\(name)")
        return name
    }

    private func point(_ link: Place, to target: String) throws {
        try requireLink(link)
        let temporary = try tree.temporaryName("-link")
        try link.directory.remove(temporary)
        try link.directory.createLink(temporary, to: Array(target.utf8))
        try link.directory.rename(temporary, to: link.name)
        try link.directory.synchronize()
    }

    // MARK: rollback

    /// The link is what counts. If something else cannot be removed, it stays until a later update.
    private func rollBack() throws {
        // After a commit that failed, Cleanup must not remove other versions.
        try tree.forget("committed")
        guard let path = try tree.recall(Self.newVersion) else { return removeTemporary() }
        let before = try tree.recall("before") ?? ""
        // A script of 0.2.0 or earlier did not check who can write to the directories, and made no marks.
        let isEarlier = try tree.isOfEarlierRelease()
        let link = try link(creates: false, trustsLast: !isEarlier)
        // A full disk has no space for a link.
        removeTemporary()
        try restore(link, before)
        Self.attempt {
            try link.directory.remove(tree.temporaryName("-link"))
            if isEarlier, let new = link.name.appending(".new") { try link.directory.remove(new) }
        }
        guard path != before, let versions = try? versions(creates: false) else { return }
        guard let name = versions.name(of: path) else { return }
        Self.attempt {
            if isEarlier {
                try versions.directory.removeTree(name)
                if let new = name.appending(".new") { try versions.directory.removeTree(new) }
            } else {
                try versions.remove(name, temporary: tree.temporaryName(""))
                if try versions.directory.status(of: name) != nil { report(versions.path(of: name)) }
            }
        }
    }

    private func restore(_ link: Place, _ before: String) throws {
        try requireLink(link)
        let exists = try link.directory.status(of: link.name) != nil
        let isRestored = try exists ? link.directory.link(link.name) == Array(before.utf8) : before.isEmpty
        if isRestored {
            // An interrupted rollback may have done it. A file system that became read-only after an error refuses this.
            Self.attempt { try link.directory.synchronize() }
        } else if before.isEmpty {
            try link.directory.remove(link.name)
            try link.directory.synchronize()
        } else {
            try point(link, to: before)
        }
    }

    /// Removes what an interrupted state left behind.
    private func removeTemporary() {
        Self.attempt {
            guard try tree.hasTemporaryName(), let versions = try? versions(creates: false) else { return }
            try versions.directory.removeTree(tree.temporaryName(""))
        }
    }

    // MARK: the end

    private func cleanUp() throws {
        guard try tree.recall("committed") != nil else { return }
        let link = try link(creates: false)
        let current = try target(of: link)
        guard !current.isEmpty else {
            throw ModuleError("\(link.path) does not exist: no version is removed")
        }
        let before = try tree.recall("before") ?? ""
        let versions = try versions(creates: false)
        for path in [current, before] {
            guard let name = versions.name(of: path), versions.isName(name) else { continue }
            // A version that an earlier release unpacked has no mark yet, and that of another one may be damaged.
            if try !versions.adopt(name) { report(path) }
        }
        try versions.removeMarked(
            except: KeptVersions([current, before], of: link, in: versions), temporary: tree.temporaryName(""))
    }

    private func report(_ path: String) {
        Environment.printError(
            "\(Self.name): \(path) has no mark of this module that can be trusted: "
                + "no update removes it, so remove it when it is not needed any more")
    }
}
