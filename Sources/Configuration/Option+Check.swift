import UpdateCore

extension Option {
    /// Why the value is not allowed; nil if it is allowed.
    func objection(to value: Value) -> String? {
        let found = isSecret ? "something else" : value.found
        switch (kind, value) {
        case (.text, .string(let text)) where !text.isEmpty: return nil
        case (.text, _): return "found \(found), allowed is a text that is not empty"

        case (.line, .string(let text)) where !text.isEmpty:
            guard let hidden = text.hiddenCharacter else { return nil }
            return "found \(hidden) in the text, allowed is one line without such characters; write the value again"
        case (.line, _): return "found \(found), allowed is a text that is not empty"

        case (.path, .string(let text)) where text.hasPrefix("/"): return nil
        case (.path, _): return "found \(found), allowed is an absolute path"

        case (.url, .string(let text)) where WebURL(text) != nil: return nil
        // A wrong URL may hide a password at a place where `found` does not expect it.
        case (.url, .string(let text)) where text.contains("@"):
            return "found a text with @, allowed is an http or https URL"
        case (.url, _): return "found \(found), allowed is an http or https URL"

        case (.proxy, .string(let text)):
            do throws(ProxyURL.Problem) {
                _ = try ProxyURL(text)
                return nil
            } catch {
                return "found a text that is not the URL of a proxy: \(error); \(Self.proxyForm)"
            }
        case (.proxy, _): return "found something else than a text; \(Self.proxyForm)"

        case (.flag, .bool): return nil
        case (.flag, _): return "found \(found), allowed are true and false"

        case (.integer(let range), .integer(let number)) where range.contains(number): return nil
        case (.integer(let range), _):
            return "found \(found), allowed is a whole number \(Self.bounds(range) { "\($0)" })"

        case (.duration(let range), _):
            if let seconds = Self.seconds(value), range.contains(seconds) { return nil }
            return
                "found \(found), allowed is a length of time \(Self.bounds(range)), such as \"90s\", \"15min\" or \"6h\""

        case (.size(let range), _):
            if let bytes = Self.bytes(value), range.contains(bytes) { return nil }
            return
                "found \(found), allowed is a size \(Self.bounds(range, Quantity.describe(bytes:))), such as 65536, \"512K\" or \"8G\""

        case (.choice(let names), .string(let text)) where names.contains(text): return nil
        case (.choice(let names), _):
            var similar: String?
            if case .string(let text) = value { similar = suggestion(for: text, among: names) }
            return "found \(found), allowed is one of \(range)" + (similar.map { "; did you mean \"\($0)\"?" } ?? "")

        case (.texts, .list(let items)):
            for case let item in items {
                guard case .string = item else { return "found \(item.found) in the list, allowed are texts" }
            }
            return nil
        case (.texts, _): return "found \(found), allowed is a list of texts"

        case (.textTable, .table(let fields)):
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                guard case .string = field else { return "found \(field.found) for \"\(name)\", allowed are texts" }
            }
            return nil
        case (.durationTable(let range), .table(let fields)):
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                if let objection = Option(name, .duration(range), summary: "").objection(to: field) {
                    return "\(name): \(objection)"
                }
            }
            return nil
        case (.freeTable, .table): return nil
        case (.textTable, _), (.durationTable, _), (.freeTable, _): return "found \(found), allowed is a table"
        }
    }

    private static let proxyForm =
        "write it as \"http://proxy.example:3128\", with user:password@ before the host if the proxy requires a login"

    /// Whether the value must not be shown as a whole.
    func isSecret(_ value: Value) -> Bool { isSecret || value.hasUserInfo }

    /// The value as JSON without its secrets.
    func shown(_ value: Value) -> String {
        if isSecret { return "***" }
        return value.hasUserInfo ? value.withoutUserInfo.json : value.json
    }

    static func seconds(_ value: Value) -> Seconds? {
        switch value {
        case .integer(let number): Seconds(number)
        case .number(let number): number
        case .string(let text): Quantity.seconds(text)
        case .bool, .list, .table, .moment: nil
        }
    }

    static func bytes(_ value: Value) -> Int? {
        switch value {
        case .integer(let number): number
        case .string(let text): Quantity.bytes(text)
        case .number, .bool, .list, .table, .moment: nil
        }
    }
}
