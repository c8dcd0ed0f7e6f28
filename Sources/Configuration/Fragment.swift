import Glibc
import Host
import TOML

/// One configuration file, checked alone: every key is known, every value allowed.
struct Fragment: Sendable {
    let file: String
    let values: [String: Value]
    let isReadableByOthers: Bool

    static let maximumBytes = 1 << 20

    /// Nil if the file does not exist.
    init?(file: String) throws(ConfigurationError) {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(file, limit: Self.maximumBytes)
        } catch {
            if error.isNotFound { return nil }
            let remedy =
                error.code == EACCES ? "; chgrp upgradelinkd it, and chmod 640: the agent is not root" : ""
            throw ConfigurationError(file: file, key: "", problem: "it cannot be read: \(error.reason)\(remedy)")
        }
        try self.init(file: file, bytes: bytes, isReadableByOthers: Files.isReadableByOthers(file))
    }

    init(file: String, bytes: [UInt8], isReadableByOthers: Bool = false) throws(ConfigurationError) {
        let table: TOMLTable
        do throws(TOMLError) {
            table = try TOMLTable(parsing: bytes)
        } catch {
            throw ConfigurationError(
                file: "\(file):\(error.position)", key: "", problem: "not TOML: \(error.text.withoutQuotations)")
        }
        var values: [String: Value] = [:]
        for (section, entry) in table.entries.sorted(by: { $0.key < $1.key }) {
            guard Schema.sectionNames.contains(section) else { throw Self.unknown(section, file) }
            let value = Value(entry.value)
            guard case .table(let fields) = value else {
                // The text may be a secret that lost its place.
                var found = value.found
                if case .string = value { found = "a text" }
                throw ConfigurationError(
                    file: file, key: section, problem: "found \(found), allowed is a table: [\(section)]")
            }
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                let key = "\(section).\(name)"
                guard let option = Schema.byKey[key] else { throw Self.unknown(key, file) }
                if let objection = option.objection(to: field) {
                    throw ConfigurationError(file: file, key: key, problem: objection)
                }
                values[key] = field
            }
        }
        self.file = file
        self.values = values
        self.isReadableByOthers = isReadableByOthers
    }

    private static func unknown(_ key: String, _ file: String) -> ConfigurationError {
        let section = String(key.prefix { $0 != "." })
        let known =
            key.contains(".")
            ? Schema.options.map(\.key).filter { $0.hasPrefix("\(section).") } : Schema.sectionNames.sorted()
        // A key that differs only in upper and lower case is suggested, and the new name of one of 0.1.0.
        let name = key.lowercased().replacing("folder", with: "directory")
        let similar = known.first {
            [name, name.replacing("directorys", with: "directories")].contains($0.lowercased())
        }
        let allowed = similar.map { "did you mean \($0)?" } ?? "allowed are \(known.joined(separator: ", "))"
        return ConfigurationError(file: file, key: key, problem: "found a key that is not known; \(allowed)")
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
