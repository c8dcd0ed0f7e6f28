import Configuration
import Glibc
import Host

/// Files that only root, or the agent, can read.
public enum UnreadableFiles {
    /// The first file of the configuration, or with a credential, that this process cannot read because of its rights.
    ///
    /// - Parameter root: the directory that replaces `/` when the configuration is read.
    public static func first(root: String) -> String? {
        if geteuid() == 0 { return nil }
        let base = root == "/" ? "" : root
        let files = ConfigurationFiles(root: root)
        var paths = ["/usr/lib", "/etc"].flatMap {
            ["\(base)\($0)/upgradelinkd/upgradelinkd.toml", "\(base)\($0)/upgradelinkd/upgradelinkd.toml.d"]
        }
        paths += files.configuration + files.credentials.map(\.path)
        if root == "/" {
            paths += ["accessKey", "secretKey"].map { "/etc/credstore/upgradelinkd.\($0)" }
        }
        return paths.first { access($0, R_OK) != 0 && errno == EACCES }
    }
}
