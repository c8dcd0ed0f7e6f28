import Glibc
import Host
import UpdateCore

/// The update module `file` replaces one file atomically, keeps the old file until the commit, and rolls back to it.
///
/// The artifact becomes the file: it is renamed if it is on the same file system, and else copied. The old file is kept through a
/// second name, DESTINATION.old.
///
/// Options (`install.files`): `destination`, the absolute path of the file; `permissions`, as for chmod(1), else those of the
/// replaced file, else 0644; `owner`, USER or USER:GROUP, else root; `keepOld`, if it is "yes", keeps DESTINATION.old after the
/// commit.
struct FileModule: Module {
    static let name = "file"
    static let needsReboot = "No"
    static let supportsRollback = "Yes"

    private let tree: ModuleTree

    init(_ tree: ModuleTree) { self.tree = tree }

    func enter(_ state: ModuleState) throws {
        switch state {
        case .install: try install()
        case .rollback: try rollBack()
        // From now on Cleanup may remove the old file.
        case .commit: try tree.remember("committed", "yes")
        case .cleanup: try cleanUp()
        case .verifyReboot, .verifyRollbackReboot, .other: break
        }
    }

    private func keepsOld() throws -> Bool {
        switch try tree.option("keepOld") {
        case nil, "no": return false
        case "yes": return true
        case let text?:
            throw ModuleError("\"\(text)\" is not \"yes\" or \"no\": set install.files.keepOld, or leave it out")
        }
    }

    private func destination(creates: Bool, trustsLast: Bool = true) throws -> Place {
        guard let path = try tree.option("destination") else {
            throw ModuleError("no destination: set install.files.destination to the file to replace")
        }
        return try Place(path, option: "destination", creates: creates, trustsLast: trustsLast)
    }

    /// The name of the replaced file.
    private func old(_ place: Place) throws -> FileName {
        guard let old = place.name.appending(".old") else { throw ModuleError("\(place.path).old is no path") }
        return old
    }

    /// A copy from another file system, and one of an old file that a link cannot keep.
    func spaceNeeds() throws -> [SpaceNeed] {
        let place = try destination(creates: false)
        let directory = place.directory
        let old = try examine(place)
        let copied = old.map { canLink($0) ? 0 : $0.size } ?? 0
        let isElsewhere = try tree.files().status.identity.device != directory.status.identity.device
        guard isElsewhere || copied > 0 else { return [] }
        return [SpaceNeed(directory: directory.path, percent: isElsewhere ? 100 : 0, bytes: copied)]
    }

    // MARK: installation

    private func install() throws {
        let place = try destination(creates: true)
        let before = try examine(place)
        // If this state begins again, the artifact may already be the file.
        if let before, try tree.recall(Self.moved) == before.identity.text { return try place.directory.synchronize() }
        let artifact = try tree.artifact()
        let mode = try mode(artifact: try artifact.status, before: before)
        let owner = try Owner(tree.option("owner"))
        _ = try keepsOld()
        try tree.begin()
        // If this state begins again, the file may already be the new one.
        if try tree.recall("before") == nil {
            if before != nil {
                try keep(place)
            } else {
                try tree.remember("before", "none")
            }
        }
        if try move(artifact, to: place, mode: mode, owner: owner) { return }
        try put(artifact, at: place.name, in: place.directory, mode: mode, owner: owner, times: nil) {
            try tree.remember("replaces", "yes")
        }
    }

    /// Under which the tree remembers the identity of the artifact that becomes the file.
    private static let moved = "moved"

    /// Renames the artifact to the destination.
    ///
    /// - Returns: false if it must be copied: it is on another file system, it has another name, or its directory gave it a label
    ///   (selinux(8)) that is not the destination's.
    private func move(_ artifact: OpenFile, to place: Place, mode: mode_t, owner: Owner) throws -> Bool {
        let files = try tree.files()
        let status = try artifact.status
        guard status.isOwn, status.linkCount == 1, !status.isWritableByOthers, !artifact.hasSecurityLabel,
            try status.identity.device == place.directory.status.identity.device
        else { return false }
        try owner.give(artifact)
        try artifact.setMode(mode)
        try artifact.synchronize()
        try tree.remember(Self.moved, status.identity.text)
        try tree.remember("replaces", "yes")
        do throws(SystemError) {
            try files.onOneMount(with: place.directory) { files, directory throws(SystemError) in
                try files.rename(ModuleTree.artifactName, to: place.name, in: directory)
            }
        } catch {
            // No mount has both.
            guard error.isOtherFileSystem else { throw error }
            try tree.forget(Self.moved)
            return false
        }
        try place.directory.synchronize()
        try files.synchronize()
        return true
    }

    private func examine(_ place: Place) throws -> FileStatus? {
        let status = try place.directory.status(of: place.name)
        switch status?.kind {
        case nil, .regular: return status
        case .symbolicLink:
            let target = String(decoding: try place.directory.link(place.name), as: UTF8.self)
            throw ModuleError(
                "\(place.path) is a symbolic link to \(target), which is not followed: "
                    + "set install.files.destination to the file itself, or remove the link")
        default: throw ModuleError("\(place.path) exists and is not a file: move it away")
        }
    }

    /// The old file's permissions are kept, but not its special bits: only `permissions` can set these.
    private func mode(artifact: FileStatus, before: FileStatus?) throws -> mode_t {
        guard let text = try tree.option("permissions"), !text.isEmpty else { return before?.permissions ?? 0o644 }
        guard let mode = Permissions.mode(text, of: artifact.permissions) else {
            throw ModuleError("\"\(text)\" is no mode such as 0755: set install.files.permissions, or leave it out")
        }
        return mode
    }

    /// Keeps the old file, through a second name if that gives no other user rights to what a rollback installs. Else it is copied. The copy
    /// belongs to root, and others cannot write to it: a rollback gives its content the old file's owner and special bits. It has
    /// none of these bits, so that an old program with a known weakness does not keep its rights.
    private func keep(_ place: Place) throws {
        let file = try place.directory.file(place.name)
        let status = try file.status
        if canLink(status), try link(place) {
            try tree.remember(Self.linked, "yes")
        } else {
            try put(
                file, at: old(place), in: place.directory, mode: status.permissions & ~0o022, owner: .own, times: status
            )
        }
        try tree.remember("owner", "\(status.user):\(status.group)")
        try tree.remember("mode", String(status.mode, radix: 8))
        try tree.remember("before", "old")
    }

    /// Whether a second name keeps the old file without rights for other users.
    private func canLink(_ old: FileStatus) -> Bool {
        old.user == geteuid() && !old.isWritableByOthers && !old.hasSpecialBits
    }

    /// Under which the tree remembers that the old file was not copied.
    private static let linked = "linked"

    /// Gives the file its second name, in place of what an earlier update kept.
    ///
    /// - Returns: false if the file system has no links.
    private func link(_ place: Place) throws -> Bool {
        let temporary = try tree.temporaryName("")
        try place.directory.remove(temporary)
        do throws(SystemError) {
            try place.directory.link(place.name, as: temporary, in: place.directory)
        } catch {
            guard error.isNotPermitted || error.hasTooManyLinks else { throw error }
            return false
        }
        try place.directory.rename(temporary, to: old(place))
        // Two names of one file are not renamed to each other.
        try place.directory.remove(temporary)
        try place.directory.synchronize()
        return true
    }

    // MARK: rollback

    private func rollBack() throws {
        guard let before = try tree.recall("before") else { return Self.attempt { try removeTemporary() } }
        // A script of 0.2.0 or earlier did not check who can write to the directory.
        let isEarlier = try tree.isOfEarlierRelease()
        let place = try destination(creates: false, trustsLast: !isEarlier)
        // After a commit that failed, Cleanup must not remove the old file.
        try tree.forget("committed")
        switch before {
        case "old" where try tree.recall(Self.linked) != nil: try restoreLinked(place)
        case "old":
            // If the installation did not get that far, the file is still the old one. A full disk has no space for a copy.
            guard try isEarlier || tree.recall("replaces") != nil else { break }
            let file = try place.directory.file(old(place))
            let status = try file.status
            // A script of an earlier release remembered neither, and the copy has both.
            let mode = try tree.recall("mode").flatMap { mode_t($0, radix: 8) }
            let owner = try tree.recall("owner").map { try Owner($0) }
            try put(
                file, at: place.name, in: place.directory, mode: mode ?? status.permissions,
                owner: owner ?? Owner(user: status.user, group: status.group), times: status)
        case "none":
            takeBack(place)
            try place.directory.remove(place.name)
            try place.directory.synchronize()
        default: break
        }
        // The file is what counts.
        if !isEarlier { Self.attempt { try tree.remember("restored", "yes") } }
        Self.attempt {
            if isEarlier, let new = place.name.appending(".new") { try place.directory.remove(new) }
            try removeTemporary(in: place.directory)
        }
    }

    /// Renames the old file back, which needs no disk space.
    private func restoreLinked(_ place: Place) throws {
        let old = try old(place)
        guard let kept = try place.directory.status(of: old) else {
            // An interrupted rollback has renamed it.
            guard try place.directory.status(of: place.name)?.identity.text != tree.recall(Self.moved) else {
                throw ModuleError("\(place.path).old is missing: restore \(place.path) by hand")
            }
            return Self.attempt { try place.directory.synchronize() }
        }
        guard kept.kind == .regular else { throw ModuleError("\(place.path).old is not a file: move it away") }
        takeBack(place)
        try place.directory.rename(old, to: place.name)
        // Two names of one file are not renamed to each other.
        try place.directory.remove(old)
        try place.directory.synchronize()
    }

    /// Gives the tree the artifact back, so that another attempt needs no download.
    private func takeBack(_ place: Place) {
        Self.attempt {
            guard let identity = try tree.recall(Self.moved),
                try place.directory.status(of: place.name)?.identity.text == identity
            else { return }
            let files = try tree.files()
            guard try files.status(of: ModuleTree.artifactName) == nil else { return }
            try place.directory.onOneMount(with: files) { directory, files throws(SystemError) in
                try directory.link(place.name, as: ModuleTree.artifactName, in: files)
            }
            try files.synchronize()
        }
    }

    // MARK: the end

    private func cleanUp() throws {
        try removeTemporary()
        guard try tree.recall("before") == "old", try !keepsOld(),
            try tree.recall("committed") ?? tree.recall("restored") != nil
        else { return }
        let place = try destination(creates: false)
        try place.directory.remove(old(place))
        try place.directory.synchronize()
    }

    // MARK: one file

    /// After a power cut the name has the complete file or none: the file is written under another name, synced and renamed.
    private func put(
        _ source: OpenFile, at name: FileName, in directory: Directory, mode: mode_t, owner: Owner, times: FileStatus?,
        beforeRename: () throws -> Void = {}
    ) throws {
        let temporary = try tree.temporaryName("")
        try directory.remove(temporary)
        do {
            let file = try directory.createFile(temporary)
            try file.append(source)
            try owner.give(file)
            try file.setMode(mode)
            if let times { file.setTimes(of: times) }
            try file.synchronize()
            try beforeRename()
            try directory.rename(temporary, to: name)
        } catch {
            try? directory.remove(temporary)
            throw error
        }
        try directory.synchronize()
    }

    /// Removes what an interrupted state left behind.
    private func removeTemporary() throws {
        guard try tree.hasTemporaryName() else { return }
        guard let place = try? destination(creates: false) else { return }
        try removeTemporary(in: place.directory)
    }

    private func removeTemporary(in directory: Directory) throws { try directory.remove(tree.temporaryName("")) }
}
