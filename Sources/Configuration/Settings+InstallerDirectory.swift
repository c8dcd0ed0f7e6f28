import Host
import TOML

extension Settings {
    /// Where the installer keeps its record, as far as a configuration tells that is not valid as a whole: one that an older or
    /// a newer version wrote, for example.
    ///
    /// - Parameter root: the directory to use as `/`.
    public static func installerDirectory(ofUnreadableConfiguration root: String) -> String {
        var texts: [String: String] = [:]
        for file in MergedConfiguration.files(root).all {
            guard let bytes = try? Files.read(file, limit: Fragment.maximumBytes),
                let table = try? TOMLTable(parsing: bytes),
                case .table(let state)? = table.entries["state"]?.value.content
            else { continue }
            for (name, entry) in state.entries {
                if case .string(let text) = entry.value.content, text.hasPrefix("/") { texts[name] = text }
            }
        }
        // The second of each pair is the name of 0.1.0.
        let installer = texts["installerDirectory"] ?? texts["installerFolder"]
        let state = texts["directory"] ?? texts["folder"]
        return installer ?? state.map { "\($0)/installer" } ?? defaultInstallerDirectory
    }
}
