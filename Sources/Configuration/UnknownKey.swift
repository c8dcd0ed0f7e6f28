import UpdateCore

/// A key that no option has, and what it probably means.
struct UnknownKey {
    let key: String
    /// What the file has, and what to do.
    let problem: String
    /// The options that the key may stand for. They are not reported as missing.
    let meant: [String]

    private init(_ key: String, _ remedy: String, meant: [String] = []) {
        self.key = key
        self.problem = "found a key that is not known; \(remedy)"
        self.meant = meant
    }

    /// A name that is no section.
    static func section(_ name: String, _ value: Value) -> UnknownKey {
        let similar = suggestion(for: name, among: Schema.sectionNames)
        if case .table(let fields) = value, let similar {
            return UnknownKey(name, "did you mean \(similar)?", meant: fields.keys.map { "\(similar).\($0)" })
        }
        if case .table = value { return UnknownKey(name, allowedSections) }
        // Between quotation marks, a dot does not separate a section from its option.
        if Schema.option(name) != nil {
            return UnknownKey(name, "did you mean \(name)? Write it without quotation marks", meant: [name])
        }
        var options = named { isSpelledAlike($0, current(name)) }
        if options.isEmpty, similar == nil, let near = suggestion(for: current(name), among: Schema.options.map(\.name))
        {
            options = named { $0 == near }
        }
        guard let first = options.first else {
            return UnknownKey(name, similar.map { "did you mean \($0)?" } ?? allowedSections)
        }
        return UnknownKey(
            name,
            "did you mean \(list(options))? An option is written below its section, [\(first.section)], or as "
                + "\(first.key) = … above all sections", meant: options.map(\.key))
    }

    /// A name that is no option of its section.
    static func option(_ name: String, in section: String) -> UnknownKey {
        let key = "\(section).\(name)"
        let own = Schema.options.filter { $0.section == section }
        let found =
            own.filter { isSpelledAlike($0.name, current(name)) }.nonEmpty ?? similar(name, own)
            ?? named { isSpelledAlike($0, current(name)) }.nonEmpty
            ?? suggestion(for: current(name), among: Schema.options.map(\.name)).map { near in named { $0 == near } }
        guard let found else {
            return UnknownKey(key, "allowed are \(own.map(\.key).joined(separator: ", "))")
        }
        return UnknownKey(key, "did you mean \(list(found))?", meant: found.map(\.key))
    }

    /// An option with its section, below the header of another section: `[poll]`, then `device.urlKey = …`.
    static func option(_ name: String, of section: String, below header: String) -> UnknownKey {
        let key = "\(section).\(name)"
        let meant = Schema.option(key).map { [$0] } ?? named { isSpelledAlike($0, current(name)) }
        return UnknownKey(
            "\(header).\(key)",
            "did you mean \(list(meant).nonEmpty ?? key)? It follows the section [\(header)], so it belongs to that: move it "
                + "above all sections, or below [\(section)] as \(meant.first?.name ?? name) = …",
            meant: meant.map(\.key) + [key])
    }

    /// The options of the key's own section that have a similar name; nil if there are none, or too many to name.
    private static func similar(_ name: String, _ own: [Option]) -> [Option]? {
        let wanted = current(name).lowercased()
        let longer = own.filter { $0.name.lowercased().hasPrefix(wanted) }
        // `file` is meant to be `files`, but `backOff` may be either of two.
        if (2...3).contains(longer.count), longer.allSatisfy({ $0.name.count > wanted.count + 2 }) { return longer }
        if let near = suggestion(for: current(name), among: own.map(\.name)) {
            let options = own.filter { $0.name == near }
            // `file` for `files` is hardly a name of another section; `interval` for `interface` may be.
            if near.lowercased().hasPrefix(wanted) || wanted.hasPrefix(near.lowercased()) { return options }
            return options + named { isSpelledAlike($0, wanted) }
        }
        let words = name.words.map(current)
        let matching: [([String]) -> Bool] = [
            { $0.suffix(words.count).elementsEqual(words) }, { $0.starts(with: words) },
            // A file is often called by its directory, and the other way round.
            { places.contains($0.last ?? "") && words.count == 1 && places.contains(words[0]) },
        ]
        for matches in matching {
            let options = own.filter { matches($0.name.words) }
            if (1...3).contains(options.count) { return options }
        }
        return nil
    }

    private static let places: Set<String> = ["file", "directory"]

    private static let allowedSections = "allowed are \(Schema.sectionNames.joined(separator: ", "))"

    private static func named(_ isWanted: (String) -> Bool) -> [Option] { Schema.options.filter { isWanted($0.name) } }

    private static func list(_ options: [Option]) -> String { options.map(\.key).joined(separator: " or ") }

    /// The new form of an option's name of 0.1.0.
    private static func current(_ name: String) -> String {
        name.lowercased().replacing("folder", with: "directory").replacing("directorys", with: "directories")
    }
}

extension Collection {
    fileprivate var nonEmpty: Self? { isEmpty ? nil : self }
}
