import FoundationEssentials
import TOML
import UpdateCore

/// A value of a configuration file.
package enum Value: Hashable, Sendable {
    case string(String)
    case integer(Int64)
    case number(Double)
    case bool(Bool)
    case list([Value])
    case table([String: Value])
    /// A date or a time: TOML allows it, but no option does.
    case moment(String)

    init(_ value: TOMLValue) {
        switch value.content {
        case .string(let text): self = .string(text)
        case .integer(let number): self = .integer(number)
        case .number(let number): self = .number(number)
        case .bool(let flag): self = .bool(flag)
        case .moment(let text): self = .moment(text)
        case .list(let items): self = .list(items.map { Value($0) })
        case .table(let table): self = .table(table.entries.mapValues { Value($0.value) })
        }
    }

    /// The kind and the value for an error line, without the user and the password of a URL. A long value is cut.
    var found: String {
        switch self {
        case .string(let text):
            "the text \"\(text.withoutUserInfo.prefix(60))\(text.withoutUserInfo.count > 60 ? "…" : "")\""
        case .integer(let number): "the number \(number)"
        case .number(let number): "the number \(number)"
        case .bool(let flag): "\(flag)"
        case .list: "a list"
        case .table: "a table"
        case .moment(let text): "the date or time \(text)"
        }
    }

    /// Whether it contains a URL with a user or a password.
    var hasUserInfo: Bool {
        switch self {
        case .string(let text): WebURL(text)?.hasUserInfo ?? (text.withoutUserInfo != text)
        case .list(let items): items.contains { $0.hasUserInfo }
        case .table(let fields): fields.contains { Value.string($0.key).hasUserInfo || $0.value.hasUserInfo }
        default: false
        }
    }

    /// The value without the users and passwords of URLs in its texts and in the keys of its tables.
    var withoutUserInfo: Value {
        switch self {
        case .string(let text): .string(text.withoutUserInfo)
        case .list(let items): .list(items.map(\.withoutUserInfo))
        case .table(let fields): .table(Self.withoutUserInfo(fields))
        default: self
        }
    }

    private static func withoutUserInfo(_ fields: [String: Value]) -> [String: Value] {
        var shown: [String: Value] = [:]
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            let name = key.withoutUserInfo
            // Two keys may differ in their passwords only.
            var free = name
            var number = 2
            while shown[free] != nil { (free, number) = ("\(name) (\(number))", number + 1) }
            shown[free] = value.withoutUserInfo
        }
        return shown
    }

    /// This list after the earlier one. An empty text in this list drops everything before it.
    func added(to earlier: Value?) -> Value {
        guard case .list(let items) = self else { return self }
        if let last = items.lastIndex(of: .string("")) { return .list(Array(items[(last + 1)...])) }
        guard case .list(let before)? = earlier else { return self }
        return .list(before + items.filter { !before.contains($0) })
    }

    /// The value as JSON, for a module's meta-data and for documents.
    package var json: String {
        switch self {
        case .string(let text), .moment(let text): quote(text)
        case .integer(let number): "\(number)"
        case .number(let number): number.isFinite ? "\(number)" : "null"
        case .bool(let flag): "\(flag)"
        case .list(let items): "[" + items.map(\.json).joined(separator: ",") + "]"
        case .table(let fields):
            "{"
                + fields.sorted { $0.key < $1.key }.map { "\(quote($0.key)):\($0.value.json)" }
                .joined(separator: ",") + "}"
        }
    }

    private func quote(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // A string can always be encoded.
        return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
}
