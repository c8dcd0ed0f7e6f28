import Host

/// The versions that links need: those that they point to, or to something in them.
///
/// They are known by their names, because some file systems (vfat, overlayfs) can give a directory another inode number, and by
/// their identities, because a link may name them by another path. The directories stay open, so that their numbers stay.
struct KeptVersions {
    private let names: Set<FileName>
    private let directories: [Directory]
    private let identities: Set<FileStatus.Identity>

    /// - Parameter targets: what the link points to, or pointed to; an empty one is ignored.
    init(_ targets: [String], of link: Place, in versions: VersionsDirectory) throws {
        var names: Set<FileName> = []
        var directories: [Directory] = []
        for target in targets where !target.isEmpty {
            let path = target.hasPrefix("/") ? target : "\(link.directory.path)/\(target)"
            for top in [versions.path, versions.directory.path] {
                if let name = Self.firstName(of: path, in: top) { names.insert(name) }
            }
            directories += try Self.chain(path)
        }
        self.names = names
        self.directories = directories
        identities = Set(try directories.map { try $0.status.identity })
    }

    func contains(_ name: FileName, _ identity: FileStatus.Identity?) -> Bool {
        names.contains(name) || identity.map(identities.contains) ?? false
    }

    private static func firstName(of path: String, in top: String) -> FileName? {
        let (parts, above) = (names(path), names(top))
        guard parts.starts(with: above), parts.count > above.count else { return nil }
        return FileName(String(parts[above.count]))
    }

    private static func names(_ path: String) -> [Substring] { path.split(separator: "/").filter { $0 != "." } }

    /// The directory that a path leads to, and those above it; none if it leads to none.
    private static func chain(_ path: String) throws -> [Directory] {
        var found: [Directory] = []
        var path = path
        while let directory = try? Directory(path) {
            if try directory.status.identity == found.last?.status.identity { break }
            found.append(directory)
            path += "/.."
        }
        // The path of a file: the directory that has it.
        guard found.isEmpty, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return found }
        guard Files.exists(path) else { return [] }
        return try chain(String(path[..<slash]))
    }
}
