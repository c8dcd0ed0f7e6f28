import Host
import UpdateCore

/// An error in the configuration. It is one line with the file, the key, what was found and what is allowed, without control
/// characters, and without the user and the password of a URL.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// The line in the file, from 1; nil if the error has none, for example because an option is missing.
    public var line: Int?
    /// The column in the line, from 1, if the file is not TOML.
    public var column: Int?
    /// Empty if the error concerns the whole file.
    public var key: String
    public var problem: String

    public init(file: String, line: Int? = nil, column: Int? = nil, key: String, problem: String) {
        self.file = file.sanitized(limit: 1000)
        self.line = line
        self.column = column
        self.key = key.withoutUserInfo.sanitized(limit: 200)
        self.problem = problem.withoutUserInfo.sanitized(limit: 2000)
    }

    /// A link of the configuration that leads nowhere. A file that is not there sets nothing, but a link was made to set something.
    static func missingTarget(of link: String) -> ConfigurationError {
        let target = Files.linkTarget(link) ?? "another file"
        return ConfigurationError(
            file: link, key: "",
            problem: "found a link to \(target), which does not exist; correct the link, or remove it")
    }

    /// "FILE:LINE:COLUMN: KEY: PROBLEM", without those of the three that it does not have.
    public var description: String {
        let place = file + (line.map { ":\($0)" } ?? "") + (column.map { ":\($0)" } ?? "")
        return key.isEmpty ? "\(place): \(problem)" : "\(place): \(key): \(problem)"
    }
}

/// All errors of a configuration. There is at least one.
public struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// Sorted by file and line. Errors without a line are the last ones of their file.
    public let errors: [ConfigurationError]

    public init(_ error: ConfigurationError) { errors = [error] }

    /// Nil if there are no errors.
    init?(_ errors: [ConfigurationError]) {
        var seen: Set<ConfigurationError> = []
        let sorted = errors.filter { seen.insert($0).inserted }.enumerated().sorted { one, other in
            (one.element.file, one.element.line ?? Int.max, one.offset)
                < (other.element.file, other.element.line ?? Int.max, other.offset)
        }
        guard !sorted.isEmpty else { return nil }
        self.errors = sorted.map(\.element)
    }

    /// All of it in one line, for a status: the only error, or the number of errors and the first one.
    public var description: String {
        guard errors.count > 1, let first = errors.first else { return errors.first.map { "\($0)" } ?? "" }
        return "\(errors.count) errors in the configuration; the first: \(first); upgradelinkd --check-config shows all"
    }
}
