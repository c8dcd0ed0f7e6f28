import Configuration
import Glibc
import Host

/// A file of the configuration that exists, and that this user may not read.
struct UnreadableFile {
    let path: String

    var line: String { "needs root: \(path) cannot be read by this user" }

    /// The first such file or directory below `root`; nil if all can be read.
    ///
    /// - Parameter withKeys: whether the directory of the publishers' keys is needed, too.
    static func first(root: String, withKeys: Bool) -> UnreadableFile? {
        let base = root == "/" ? "" : root
        for directory in ["\(base)/usr/lib/upgradelinkd", "\(base)/etc/upgradelinkd"] {
            let file = "\(directory)/upgradelinkd.toml"
            for path in [file, "\(file).d"] where isDenied(path) { return UnreadableFile(path: path) }
            for name in (try? Files.list("\(file).d")) ?? [] where name.hasSuffix(".toml") {
                let path = "\(file).d/\(name)"
                if isDenied(path) { return UnreadableFile(path: path) }
            }
        }
        let keys = "\(base)/etc/upgradelinkd/keys.d"
        return withKeys && isDenied(keys) ? UnreadableFile(path: keys) : nil
    }

    /// Whether the error is only that this user may not read a file.
    static func causes(_ error: ConfigurationError) -> Bool {
        error.problem.contains(SystemError("read", error.file, code: EACCES).reason)
    }

    private static func isDenied(_ path: String) -> Bool { access(path, R_OK) != 0 && errno == EACCES }
}
