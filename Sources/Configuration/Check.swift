/// Collects the errors of the configuration as a whole, such as a missing option, after those of each file.
struct Check {
    let merged: MergedConfiguration
    private(set) var errors: [ConfigurationError]

    init(_ merged: MergedConfiguration) {
        self.merged = merged
        errors = merged.errors
    }

    /// - Parameters:
    ///   - key: the option that is wrong. The error names the file that sets it, or the administrator's.
    ///   - other: an option that contradicts it. The error names this option's file if no file has `key`.
    mutating func report(_ key: String, _ problem: String, because other: String? = nil) {
        // One of the two has been reported, and may become right with the correction.
        guard !merged.attempted.contains(key), !(other.map(merged.attempted.contains) ?? false) else { return }
        let entry = merged.entries[key] ?? other.flatMap { merged.entries[$0] }
        add(ConfigurationError(file: entry?.file ?? merged.mainFile, line: entry?.line, key: key, problem: problem))
    }

    /// An option is missing; a file that cannot be read to its end may have it.
    mutating func reportMissing(_ key: String, _ problem: String, because other: String? = nil) {
        if !merged.isIncomplete { report(key, problem, because: other) }
    }

    /// Two options that exclude each other.
    mutating func reportBoth(_ key: String, _ other: String) {
        // The same file needs no second name.
        let place = merged.entries[other].flatMap { $0.file == merged.entries[key]?.file ? nil : $0.place }
        let otherPlace = place.map { " (\($0))" } ?? ""
        report(key, "found together with \(other)\(otherPlace), allowed is one of the two", because: other)
    }

    mutating func add(_ error: ConfigurationError) { errors.append(error) }
}
