import UpdateCore

/// Every option with its effective value and the file that sets it, without secrets.
public struct EffectiveConfiguration: Sendable {
    public struct Entry: Sendable {
        /// "SECTION.NAME"
        public var key: String
        /// The part of the key before the dot.
        public var section: String
        /// The part of the key after the dot.
        public var name: String
        /// The value as JSON, masked if it contains a secret; nil if the option is not configured and has no default.
        public var value: String?
        /// The value as TOML in one line; nil also if it contains a secret.
        public var toml: String?
        /// The default in words, if the option is not configured and its default depends on something else.
        public var computedDefault: String?
        /// Nil for a default.
        public var file: String?
        /// The line of the file, from 1.
        public var line: Int?
        /// The elements of a list in ``toml``.
        fileprivate var elements: [String] = []
    }

    /// In the order of the sections.
    public let entries: [Entry]

    /// Reads the files below `root`. Each file is checked alone; ``Settings`` checks the whole configuration.
    ///
    /// - Parameter hidingSuspects: whether values are masked, too, whose name in a table or in the arguments of a program sounds
    ///   like that of a secret.
    public init(root: String, hidingSuspects: Bool = false) throws(ConfigurationErrors) {
        let merged = MergedConfiguration(root: root)
        if let errors = ConfigurationErrors(merged.errors) { throw errors }
        entries = Schema.options.map { option in
            let complete = Self.value(option.key, merged)
            let value = hidingSuspects ? complete?.withoutSuspects : complete
            let entry = merged.entries[option.key]
            var shown = Entry(
                key: option.key, section: option.section, name: option.name, value: value.map(option.shown),
                toml: value.flatMap { option.isSecret($0) ? nil : $0.toml },
                computedDefault: value == nil ? option.computedDefault?.replacing("`", with: "") : nil,
                file: entry?.file, line: entry?.line)
            if shown.toml != nil, case .list(let items)? = value { shown.elements = items.map(\.toml) }
            return shown
        }
    }

    private static func value(_ key: String, _ merged: MergedConfiguration) -> Value? {
        guard key == "install.healthSettle", merged.entries[key] == nil else { return merged.value(key) }
        let settle = merged.healthSettle
        return settle == merged.require(seconds: key) ? merged.value(key) : .number(settle)
    }

    /// The whole configuration as TOML, with the file of each value in a comment. Read again as the only file, it has the same
    /// effect, except for the secrets: they are masked, and stand in comments.
    ///
    /// - Parameter changed: only the options that a file sets, without the defaults.
    public func toml(changed: Bool = false) -> String {
        var lines: [String] = []
        var section = ""
        for entry in entries where entry.file != nil || !changed {
            guard let line = Self.line(entry) else { continue }
            if entry.section != section {
                if !lines.isEmpty { lines.append("") }
                lines.append("[\(entry.section)]")
                section = entry.section
            }
            lines.append(line)
        }
        return lines.map { "\($0)\n" }.joined()
    }

    private static func line(_ entry: Entry) -> String? {
        let place = entry.file.map { file in entry.line.map { "\(file):\($0)" } ?? file } ?? "default"
        let source = place.sanitized(limit: 1000)
        if let toml = entry.toml {
            let line = "\(entry.name) = \(toml)"
            guard line.count > longLine, entry.elements.count > 1 else { return padded(line) + "  # \(source)" }
            let elements = entry.elements.map { "    \($0),\n" }.joined()
            return padded("\(entry.name) = [") + "  # \(source)\n" + elements + "]"
        }
        if let value = entry.value {
            return padded("# \(entry.name) = \(value.sanitized(limit: 4000))") + "  # \(source), a secret"
        }
        return entry.computedDefault.map { padded("# \(entry.name) is not set") + "  # default: \($0)" }
    }

    /// Characters. A longer list has one line for each element.
    private static let longLine = 100

    private static func padded(_ text: String) -> String {
        text + String(repeating: " ", count: max(0, 48 - text.count))
    }
}
