import CSystemd
import Glibc
import Host
public import Logging
import UpdateCore

/// Sends log entries to the journal with their fields (sd_journal_sendv(3)). Metadata becomes fields whose names are the keys
/// in upper case: `MESSAGE_ID`, `UPGRADELINK_VERSION_CODE`.
public struct JournalLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level = .info

    public init() {}

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var fields = [
            Self.field("MESSAGE", "\(event.message)"), "PRIORITY=\(event.level.priority)",
            "SYSLOG_IDENTIFIER=upgradelinkd",
        ]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            fields.append(Self.field(key.uppercased(), "\(value)"))
        }
        // One buffer stays valid during the call; each vector points to a field in it.
        let bytes = fields.map { Array($0.utf8) }
        let whole = Array(bytes.joined())
        whole.withUnsafeBytes { buffer in
            var offset = 0
            let vectors = bytes.map { field in
                defer { offset += field.count }
                return iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress.map { $0 + offset }),
                    iov_len: field.count)
            }
            _ = sd_journal_sendv(vectors, CInt(vectors.count))
        }
    }

    /// A field of an entry. Its value is one line, because tools that show entries as lines would take a second one for an entry.
    static func field(_ name: String, _ value: String) -> String { "\(name)=\(value.sanitized(limit: entryLimit))" }

    /// Whether this process's standard error goes to the journal (systemd.exec(5), `JOURNAL_STREAM`).
    public static func isConnected(_ environment: [String: String]) -> Bool {
        guard let stream = environment["JOURNAL_STREAM"], let status = FileStatus(descriptor: STDERR_FILENO) else {
            return false
        }
        return stream == "\(status.identity.device):\(status.identity.inode)"
    }
}

/// Writes log lines to standard error, for a terminal. They have no time: a terminal is read while the program runs.
public struct TerminalLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level = .info

    public init() {}

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let message = "\(event.message)".sanitized(limit: entryLimit)
        let line = event.level >= .warning ? "\(event.level): \(message)\n" : "\(message)\n"
        _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// Characters. Messages quote what came from outside.
private let entryLimit = 4000

extension Logger.Level {
    /// The priority number of syslog(3).
    fileprivate var priority: Int {
        switch self {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
