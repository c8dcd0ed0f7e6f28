import Glibc
import Host

/// The files of a directory that say which version it is, as device.versionFile reads them: a line VERSION_CODE=NUMBER.
enum VersionFiles {
    struct Found {
        /// In the directory.
        var path: String
        var code: Int
    }

    /// A version file is not larger than this (bytes), as for the agent.
    private static let sizeLimit = 65_536

    /// In the order of their paths; links are not followed.
    static func find(in directory: String) -> [Found] {
        var found: [Found] = []
        var waiting = [""]
        while let prefix = waiting.popLast() {
            for name in (try? Files.list("\(directory)/\(prefix)")) ?? [] {
                let path = prefix + name
                var status = stat()
                guard lstat("\(directory)/\(path)", &status) == 0 else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR: waiting.append("\(path)/")
                case S_IFREG where status.st_size <= sizeLimit:
                    if let code = code(of: "\(directory)/\(path)") { found.append(Found(path: path, code: code)) }
                default: break
                }
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func code(of path: String) -> Int? {
        guard let bytes = try? Files.read(path, limit: sizeLimit), let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        // The last line counts, as for the agent.
        return text.matches(of: /(?m)^[ \t]*(?:export[ \t]+)?VERSION_CODE[ \t]*=[ \t]*["']?([0-9]+)/).last
            .flatMap { Int($0.1) }
    }
}
