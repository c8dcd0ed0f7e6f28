import Glibc
import Host
import UpdateCore

/// Remembers in the state directory which file has the metrics. The option may be removed or changed while the agent does not run:
/// the file would show its last values for ever.
struct MetricsRecord {
    private nonisolated struct Content: Codable, Sendable { let path: String }

    private let file: String
    private static let limit = 65_536

    init(directory: String) { file = "\(directory)/metrics.json" }

    /// Remembers the file of this run; nil if there is none.
    ///
    /// - Returns: the file of an earlier run, if it is another one.
    func replace(with path: String?) -> String? {
        let last = (try? StoredFile.read(Content.self, from: file, limit: Self.limit))?.value.path
        guard path != last else { return nil }
        // A record that cannot be stored must not hinder the agent.
        if let path {
            try? StoredFile.write(Content(path: path), to: file, limit: Self.limit)
        } else {
            try? Files.remove(file)
        }
        return last
    }

    /// Removes a file with metrics of this agent. Anything else stays: a link, another user's file, other content.
    static func remove(_ path: String) throws(SystemError) {
        guard path.hasPrefix("/"), path.hasSuffix(".prom"), !Files.isLink(path) else { return }
        let beginning = Array("# HELP upgradelink_".utf8)
        var bytes = [UInt8](repeating: 0, count: beginning.count)
        do throws(SystemError) {
            let file = try Files.open(path)
            guard try file.status.user == geteuid(), try file.read(into: &bytes) == bytes.count, bytes == beginning
            else { return }
        } catch {
            // Everyone can read what the agent writes.
            if error.isNotFound || error.isNotRegular || error.code == EACCES { return }
            throw error
        }
        try Files.remove(path)
    }
}
