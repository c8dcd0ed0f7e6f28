import TOML
import UpdateCore

extension ConfigurationError {
    /// A file that is not TOML. The message quotes nothing of the file but keys and single characters.
    ///
    /// - Parameters:
    ///   - lines: the file's content.
    ///   - before: the part of the file that precedes the error, if it can be parsed.
    init(_ error: TOMLError, file: String, lines: [Substring], before: TOMLTable?) {
        let line = error.position.line
        if let again = Self.repetition(error, lines, before) {
            self.init(file: file, line: line, key: again.key, problem: again.problem)
        } else {
            self.init(
                file: file, line: line, column: error.position.column, key: "",
                problem: "not TOML: \(error.text.withoutQuotations)")
        }
    }

    /// A section or an option that the file already has. TOML forbids both.
    private static func repetition(
        _ error: TOMLError, _ lines: [Substring], _ before: TOMLTable?
    ) -> (key: String, problem: String)? {
        guard error.text.contains("cannot redefine"), lines.indices.contains(error.position.line - 1) else {
            return nil
        }
        let line = lines[error.position.line - 1].drop { $0 == " " || $0 == "\t" }
        let isHeader = line.hasPrefix("[")
        let text = isHeader ? line.drop { $0 == "[" }.prefix { $0 != "]" } : line.prefix { $0 != "=" }
        // What is not a plain key, such as one in an inline table, is only reported.
        let parts = text.filter { $0 != " " && $0 != "\t" }.split(separator: ".").map(String.init)
        guard !parts.isEmpty, parts.allSatisfy({ Value.key($0) == $0 }) else { return nil }
        let header = isHeader ? [] : currentHeader(lines[..<(error.position.line - 1)])
        let path = header + parts
        let key = path.joined(separator: ".")
        if isHeader, error.text.contains("existing table") {
            let section = "[\(key)]"
            guard let place = before?.place(path) else {
                return (key, "found \(section) again, and TOML allows each section once; put its options together")
            }
            return place.isHeader(lines)
                ? (key, "found \(section) again, it is already in line \(place.line); move the options below that line")
                : (
                    key,
                    "found \(section), but line \(place.line) has an option of it without such a line; write all options of "
                        + "\(key) in the form \(key).NAME = …, above all sections"
                )
        }
        if error.text.contains("as dotted") {
            for count in (1..<path.count).reversed() {
                guard let place = before?.place(Array(path[..<count])), place.isHeader(lines) else { continue }
                return (
                    key,
                    "found an option of [\(path[..<count].joined(separator: "."))], which is already in line \(place.line); move "
                        + "the option below that line as \(path[count...].joined(separator: ".")) = …"
                )
            }
        }
        guard let place = before?.place(path) else { return nil }
        return (key, "found it again, it is already set in line \(place.line); remove one of the two lines")
    }

    /// The section in which the line after these lines is.
    private static func currentHeader(_ lines: ArraySlice<Substring>) -> [String] {
        let line = lines.last { $0.drop { $0 == " " || $0 == "\t" }.hasPrefix("[") }
        let name = line?.drop { " \t[".contains($0) }.prefix { $0 != "]" } ?? ""
        return name.filter { $0 != " " && $0 != "\t" }.split(separator: ".").map(String.init)
    }
}

extension TOMLTable {
    /// The place of the key with this path.
    fileprivate func place(_ path: [String]) -> TOMLPosition? {
        guard let first = path.first, let entry = entries[first] else { return nil }
        guard path.count > 1 else { return entry.position }
        guard case .table(let table) = entry.value.content else { return nil }
        return table.place(Array(path.dropFirst()))
    }
}

extension TOMLPosition {
    fileprivate func isHeader(_ lines: [Substring]) -> Bool {
        lines.indices.contains(line - 1) && lines[line - 1].drop { $0 == " " || $0 == "\t" }.hasPrefix("[")
    }
}

extension String {
    /// The parser's message without what it quotes of the file, except single characters and the names of keys. A password or a
    /// key without quotation marks is read as a number or a word, and quoted.
    fileprivate var withoutQuotations: String {
        if contains("cannot redefine") || contains("cannot insert") { return self }
        let quoted = firstRange(of: "saw '").map { index(before: $0.upperBound) } ?? firstIndex(of: "'")
        guard let quoted, let end = lastIndex(of: "'"), distance(from: quoted, to: end) > 3 else { return self }
        return self[..<quoted] + "something else" + self[index(after: end)...]
    }
}
