/// Every option as it is in force, for people: with the file it came from, and without secrets.
public struct EffectiveConfiguration: Sendable {
    public struct Entry: Sendable {
        public var key: String
        /// As TOML would have it; nil where it is neither configured nor has a default.
        public var value: String?
        /// Nil for a default.
        public var file: String?
    }

    public let entries: [Entry]

    /// Reads the files below `root`, each by itself right; what they amount to together is ``Settings``'s to judge.
    public init(root: String) throws(ConfigurationError) {
        let merged = try MergedConfiguration(root: root)
        entries = Schema.options.map { option in
            let value = merged.value(option.key)
            return Entry(
                key: option.key, value: option.isSecret ? value.map { _ in "***" } : value?.json,
                file: merged.entries[option.key]?.file)
        }
    }
}
