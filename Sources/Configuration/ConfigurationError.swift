import UpdateCore

/// An error in the configuration. It is one line with the file, the key, what was found and what is allowed, without control
/// characters, and without the user and the password of a URL.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// Empty if the error concerns the whole file.
    public var key: String
    public var problem: String

    public init(file: String, key: String, problem: String) {
        self.file = file.sanitized(limit: 1000)
        self.key = key.sanitized(limit: 200)
        self.problem = problem.withoutUserInfo.sanitized(limit: 2000)
    }

    public var description: String { key.isEmpty ? "\(file): \(problem)" : "\(file): \(key): \(problem)" }
}
