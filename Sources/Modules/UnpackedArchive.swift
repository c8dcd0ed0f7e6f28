import Glibc
import Host

/// A tar archive that is unpacked by tar(1), which also decompresses it. What tar made is then checked, whatever its version and
/// its defaults are: only files, directories and links, which belong to root, and that others cannot write to.
///
/// Options (`install.files`) of the module: `owners`, if it is "archive", keeps the owners and groups of the archive; `special`,
/// the paths of files, one on each line, that keep the set-user-ID, set-group-ID and sticky bits of the archive.
struct UnpackedArchive {
    private let keepsOwners: Bool
    private let special: Set<String>

    init(owners: String?, special: String?) throws {
        guard owners == nil || owners == "archive" else {
            throw ModuleError("\"\(owners ?? "")\" is not \"archive\": set install.files.owners, or leave it out")
        }
        keepsOwners = owners != nil
        self.special = Set((special ?? "").split(separator: "\n").map { Self.plain($0) })
    }

    /// A path without a slash or `./` at its start.
    private static func plain(_ path: some StringProtocol) -> String {
        path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// Unpacks an archive into a new directory.
    ///
    /// - Parameter above: no other user can enter it, because what tar makes is not checked yet.
    func unpack(_ archive: String, into name: FileName, in above: Directory) throws -> Directory {
        // The sticky bit stays if the archive has no entry for the directory itself.
        try above.createDirectory(name, mode: 0o700)
        let directory = try above.directory(name)
        try directory.handle.setMode(0o1755)
        // -o: the files belong to the user of this process; -p: tar applies no umask. GNU tar, Busybox and bsdtar know these.
        let tar = Program(
            "tar", [keepsOwners ? "-xpf" : "-xpof", archive, "-C", directory.path], streams: .errors, timeLimit: nil)
        var reason = ""
        let end = tar.runAndWait { line in
            Environment.printError(line)
            if reason.isEmpty, Self.isReason(line) { reason = line }
        }
        if reason.contains("Cannot exec") {
            reason += ": install this program, or pack the archive with another compression"
        }
        guard end.succeeded else {
            throw ModuleError("the archive cannot be unpacked: \(reason.isEmpty ? "tar: \(end)" : reason)")
        }
        try clean(directory)
        return directory
    }

    /// Whether a line of tar says why it fails. Warnings come before such a line, and consequences after it.
    private static func isReason(_ line: String) -> Bool {
        !line.isEmpty
            && ![
                "Removing leading", "time stamp", "Ignoring unknown extended header", "A lone zero block",
                ": warning: ",
                "Warning: ", "Child returned status", "Error is not recoverable", "Exiting with failure status",
            ].contains { line.contains($0) }
    }

    // MARK: what tar made

    /// Refuses what must not be in a version before anything is changed: a name could be that of a file outside.
    ///
    /// - Returns: the files that keep their special bits, whichever of their names `special` has.
    private func examine(_ top: Directory) throws -> Set<FileStatus.Identity> {
        var links = HardLinks()
        var missing = special
        var found: Set<FileStatus.Identity> = []
        var walk = try DirectoryWalk(top)
        while let step = try walk.next() {
            guard case .entry(let directory, let name, let status) = step else { continue }
            let path = String(directory.path(of: name).dropFirst(top.path.count + 1))
            if missing.remove(path) != nil { found.insert(status.identity) }
            switch status.kind {
            case .symbolicLink: break
            case .directory: try walk.enter()
            case .regular: links.count(status, path)
            case .device, .pipe, .socket:
                throw ModuleError("the archive has a \(status.kind), \(path): leave it out")
            }
        }
        if let path = links.outside {
            throw ModuleError("the archive has a hard link to a file outside of it, \(path): leave it out")
        }
        if let path = missing.min() {
            throw ModuleError("the archive has no \(path): set install.files.special to paths in the archive")
        }
        return found
    }

    private func clean(_ top: Directory) throws {
        let special = try examine(top)
        // The archive can have an entry for the directory itself. Its owner is not kept: the module's mark is in it.
        let mode = try top.status.permissions & ~0o022
        try top.handle.setOwner(user: geteuid(), group: getegid())
        try top.handle.setMode(mode)
        var walk = try DirectoryWalk(top)
        while let step = try walk.next() {
            guard case .entry(let directory, let name, let status) = step else { continue }
            let isSpecial = special.contains(status.identity)
            switch status.kind {
            case .directory:
                try clean(directory.directory(name).handle, status, isSpecial: isSpecial)
                try walk.enter()
            case .regular: try clean(directory.file(name), status, isSpecial: isSpecial)
            default: try cleanLink(directory, name, status)
            }
        }
    }

    private func cleanLink(_ directory: Directory, _ name: FileName, _ status: FileStatus) throws {
        guard !keepsOwners, Owner(user: status.user, group: status.group) != .own else { return }
        try directory.setOwner(of: name, user: geteuid(), group: getegid())
    }

    /// Changes owner and mode if they are not what they must be.
    private func clean(_ file: OpenFile, _ status: FileStatus, isSpecial: Bool) throws {
        let mode = status.permissions & ~0o022 | (isSpecial ? status.mode & 0o7000 : 0)
        if geteuid() == 0 { try file.removeCapabilities() }
        if !keepsOwners, Owner(user: status.user, group: status.group) != .own {
            try file.setOwner(user: geteuid(), group: getegid())
        }
        // A change of the owner may have removed bits.
        if try file.status.mode != mode { try file.setMode(mode) }
    }

    /// The names of files that have several.
    private struct HardLinks {
        private var found: [FileStatus.Identity: (path: String, count: Int, all: Int)] = [:]

        mutating func count(_ status: FileStatus, _ path: String) {
            guard status.linkCount > 1 else { return }
            found[status.identity, default: (path, 0, status.linkCount)].count += 1
        }

        /// A file that also has a name somewhere else.
        var outside: String? { found.values.filter { $0.count != $0.all }.map(\.path).min() }
    }
}
