import Host

/// Whether the modules `file` and `directory` accept what they are configured to replace. The modules check the same again.
public enum ModuleTarget {
    public typealias Problem = (text: String, remedy: String)

    /// - Parameter path: `install.files.destination`.
    public static func file(_ path: String?) -> Problem? {
        if let problem = place(path, "destination", "the file to replace") { return problem }
        guard let path else { return nil }
        if Files.isLink(path) {
            return (
                "install.files.destination: \(path) is a symbolic link, which is not followed",
                "set install.files.destination to the file itself"
            )
        }
        return Files.exists(path) && (try? Files.open(path)) == nil
            ? ("install.files.destination: \(path) exists and is not a file", "move it away") : nil
    }

    /// - Parameters:
    ///   - path: `install.files.link`.
    ///   - versions: `install.files.versions`.
    public static func link(_ path: String?, versions: String?) -> Problem? {
        if let problem = place(path, "link", "the link to switch") { return problem }
        guard let path else { return nil }
        if Files.exists(path), !Files.isLink(path) {
            return (
                "install.files.link: \(path) exists and is not a symbolic link",
                "mv \(path) \(path).versions/FIRST and ln -s \(path).versions/FIRST \(path), in one step of the image"
            )
        }
        return directory(versions ?? "\(path).versions", "versions")
    }

    private static func place(_ path: String?, _ option: String, _ what: String) -> Problem? {
        guard let path, !path.isEmpty else {
            return ("install.files.\(option) is missing", "set it to the absolute path of \(what)")
        }
        guard path.hasPrefix("/"), !path.hasSuffix("/") else {
            return ("install.files.\(option): \(path) is not an absolute path of a file", "set it to \(what)")
        }
        return directory(Files.directory(of: path), option)
    }

    /// The module creates a directory that is missing; root must be the only one who can change names in it.
    private static func directory(_ path: String, _ option: String) -> Problem? {
        guard path.hasPrefix("/") else {
            return ("install.files.\(option): \(path) is not an absolute path", "set it to a directory")
        }
        if let place = try? Directory.distrust(onTheWayTo: path) {
            let other = "set install.files.\(option) to another directory"
            return ("install.files.\(option): \(place.reason)", place.remedy.map { "\($0), or \(other)" } ?? other)
        }
        if let mount = MountTable.current.mount(of: Files.resolved(path)), mount.isReadOnly {
            return (
                "install.files.\(option): \(path) is read-only (\(mount.type) on \(mount.point))",
                "set install.files.\(option) to a path on a writable file system"
            )
        }
        return nil
    }
}
