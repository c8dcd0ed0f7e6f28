import Glibc
import Host

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

    private let tree: ModuleTree

    init(_ tree: ModuleTree) { self.tree = tree }

    func enter(_ state: ModuleState) throws {
        switch state {
        case .install: try install()
        case .rollback: try rollBack()
        // From now on Cleanup may remove all versions except the current one and the one before.
        case .commit: try tree.remember("committed", "yes")
        case .cleanup: try cleanUp()
        case .other: break
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
            try Place.directory(path, option: "versions", creates: creates, trustsLast: trustsLast), path: path)
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
        // 0.1.0 named it "folder": another release of this module may roll back.
        if let path = try tree.recall("folder"), let name = versions.name(of: path) { return name }
        let before = try target(of: link)
        let name = try versions.freeName(
            tree.artifactName, except: before, link.directory.target(of: Array(before.utf8))?.identity)
        try versions.remove(name, temporary: tree.temporaryName(""))
        try tree.remember("before", before)
        try tree.remember("folder", "\(versions.path)/\(name)")
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

    private func rollBack() throws {
        guard let path = try tree.recall("folder") else { return }
        let before = try tree.recall("before") ?? ""
        // A script of 0.2.0 or earlier did not check who can write to the directories, and made no marks.
        let isEarlier = try tree.isOfEarlierRelease()
        let link = try link(creates: false, trustsLast: !isEarlier)
        if before.isEmpty {
            try requireLink(link)
            try link.directory.remove(link.name)
            try link.directory.synchronize()
        } else {
            try point(link, to: before)
        }
        try link.directory.remove(tree.temporaryName("-link"))
        if isEarlier, let new = link.name.appending(".new") { try link.directory.remove(new) }
        guard let versions = try? versions(creates: false) else { return }
        let temporary = try tree.temporaryName("")
        try versions.directory.removeTree(temporary)
        guard let name = versions.name(of: path), path != before else { return }
        if isEarlier {
            try versions.directory.removeTree(name)
            if let new = name.appending(".new") { try versions.directory.removeTree(new) }
        } else {
            try versions.remove(name, temporary: temporary)
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
        let kept = [current, before].filter { !$0.isEmpty }
        // A version that an earlier release unpacked has no mark yet.
        for path in kept { try versions.adopt(path) }
        try versions.removeMarked(
            except: kept.compactMap { link.directory.target(of: Array($0.utf8))?.identity },
            temporary: tree.temporaryName(""))
    }
}
