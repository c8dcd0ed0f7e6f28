import Glibc
import Host

/// The update module `file` replaces one file atomically, keeps the old file next to it, and rolls back to the old file.
///
/// Options (`install.files`): `destination`, the absolute path of the file; `permissions`, as for chmod(1), else those of the
/// replaced file, else 0644; `owner`, USER or USER:GROUP, else root. After a commit the replaced file remains as
/// DESTINATION.old.
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
        case .cleanup: try removeTemporary()
        case .commit, .other: break
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

    // MARK: installation

    private func install() throws {
        let place = try destination(creates: true)
        let artifact = try tree.artifact()
        let before = try examine(place)
        let mode = try mode(artifact: try artifact.status, before: before)
        let owner = try Owner(tree.option("owner"))
        try tree.begin()
        // If this state begins again, the file may already be the new one.
        if try tree.recall("before") == nil {
            if before != nil {
                try keep(place)
            } else {
                try tree.remember("before", "none")
            }
        }
        try put(artifact, at: place.name, in: place.directory, mode: mode, owner: owner, times: nil) {
            try tree.remember("replaces", "yes")
        }
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

    /// Copies the old file. The copy belongs to root, and others cannot write to it: a rollback gives its content the old file's
    /// owner and special bits. It has none of these bits, so that an old program with a known weakness does not keep its rights.
    private func keep(_ place: Place) throws {
        let file = try place.directory.file(place.name)
        let status = try file.status
        try put(
            file, at: old(place), in: place.directory, mode: status.permissions & ~0o022, owner: .own, times: status)
        try tree.remember("owner", "\(status.user):\(status.group)")
        try tree.remember("mode", String(status.mode, radix: 8))
        try tree.remember("before", "old")
    }

    // MARK: rollback

    private func rollBack() throws {
        guard let before = try tree.recall("before") else { return Self.attempt { try removeTemporary() } }
        // A script of 0.2.0 or earlier did not check who can write to the directory.
        let isEarlier = try tree.isOfEarlierRelease()
        let place = try destination(creates: false, trustsLast: !isEarlier)
        switch before {
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
            try place.directory.remove(place.name)
            try place.directory.synchronize()
        default: break
        }
        // The file is what counts.
        Self.attempt {
            if isEarlier, let new = place.name.appending(".new") { try place.directory.remove(new) }
            try removeTemporary(in: place.directory)
        }
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
