/// Every option with its effective value and the file that sets it, without secrets.
public struct EffectiveConfiguration: Sendable {
    public struct Entry: Sendable {
        public var key: String
        /// The value as JSON; nil if the option is not configured and has no default.
        public var value: String?
        /// Nil for a default.
        public var file: String?
    }

    public let entries: [Entry]

    /// Reads the files below `root`. Each file is checked alone; ``Settings`` checks the whole configuration.
    public init(root: String) throws(ConfigurationError) {
        let merged = try MergedConfiguration(root: root)
        entries = Schema.options.map { option in
            let value = merged.value(option.key)
            return Entry(
                key: option.key, value: value.map(option.shown),
                file: merged.entries[option.key]?.file)
        }
    }
}
