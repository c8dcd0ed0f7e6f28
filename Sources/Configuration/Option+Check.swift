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
        case (.pathEnding(let suffix), .string(let text))
        where text.hasPrefix("/") && text.hasSuffix(suffix) && !text.hasSuffix("/\(suffix)"):
            return nil
        case (.pathEnding, _): return "found \(found), allowed is \(range)"

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

        case (.integer(let range), .integer(let number)) where Int(exactly: number).map(range.contains) == true:
            return nil
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

        case (.texts(let element), .list(let items)):
            for case let item in items {
                guard case .string(let text) = item else { return "found \(item.found) in the list, allowed are texts" }
                if let objection = element.objection(to: text) { return objection }
            }
            return element.objection(to: items)
        case (.texts, _): return "found \(found), allowed is a list of texts"

        case (.fileName, .string(let text)) where isFileName(text): return nil
        case (.fileName, _): return "found \(found), allowed is a plain file name"

        case (.textTable, .table(let fields)):
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                guard isFileName(name) else { return "found \"\(name)\", allowed is a plain file name" }
                guard case .string = field else { return "found \(field.found) for \"\(name)\", allowed are texts" }
            }
            return nil
        case (.durationTable(let range, let keys), .table(let fields)):
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                guard keys.contains(name) else {
                    let similar = suggestion(for: name, among: keys).map { "did you mean \($0)?" }
                    return "found a key that is not known, \"\(name.sanitized(limit: 60))\"; "
                        + (similar ?? "allowed are \(keys.joined(separator: ", "))")
                }
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

    static func bytes(_ value: Value) -> ByteCount? {
        switch value {
        case .integer(let number): number
        case .string(let text): Quantity.bytes(text)
        case .number, .bool, .list, .table, .moment: nil
        }
    }
}

extension Option.Element {
    /// Why a text of the list is not allowed; nil if it is allowed.
    fileprivate func objection(to text: String) -> String? {
        switch self {
        case .text, .command: nil
        case .paths: text.hasPrefix("/") ? nil : "found \"\(text.shortened)\" in the list, allowed are absolute paths"
        case .windows:
            MaintenanceWindow(text) != nil
                ? nil
                : "found \"\(text.shortened)\", allowed are days and hours of local time, such as "
                    + "\"Mon-Fri 02:00-05:00\", \"Sat,Sun 23:00-06:00\" or \"03:30-04:30\""
        // An empty text drops the units of the files before this one.
        case .units where text.isEmpty: nil
        case .units where text.hasPrefix("-") || !text.contains("."):
            "found \"\(text.shortened)\", allowed are names of units, such as \"player.service\""
        case .units where text.contains("@."):
            "found the template \"\(text.shortened)\", allowed are instances, such as \"player@1.service\""
        case .units: nil
        }
    }

    /// Why the list as a whole is not allowed; nil if it is allowed.
    fileprivate func objection(to items: [Value]) -> String? {
        switch self {
        case .paths where items.isEmpty: return "found an empty list, allowed are absolute paths"
        case .command(let mayBeEmpty):
            if items.isEmpty, mayBeEmpty { return nil }
            if case .string(let program)? = items.first, program.hasPrefix("/") { return nil }
            let words = items.map { if case .string(let text) = $0 { text } else { "" } }
            return "found \(words), allowed is an absolute path and its arguments, a text each"
        default: return nil
        }
    }
}

extension String {
    fileprivate var shortened: String { sanitized(limit: 60) }
}

/// Whether a text is the name of a file: it must not lead out of its directory.
private func isFileName(_ text: String) -> Bool {
    !text.isEmpty && !text.contains("/") && text != "." && text != ".."
}
