extension String {
    /// This text as it may be shown to people or a terminal: no control characters, no characters that
    /// reorder or hide text, and no longer than `limit` characters. Line breaks become spaces.
    public func forPeople(limit: Int) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in unicodeScalars.prefix(limit * 8) {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator:
                shown.append(" ")
            case .format, .surrogate, .privateUse, .unassigned:
                // U+200D joins emoji and is needed by several scripts; the other format characters
                // (bidirectional overrides among them) can make a text read as what it is not.
                if scalar == "\u{200D}" { shown.append(scalar) }
            default:
                shown.append(scalar)
            }
        }
        return String(String(shown).prefix(limit)).trimmed
    }

    var trimmed: String {
        var rest = self[...]
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}

/// An absolute http or https URL with a host, as far as the agent must understand one: libcurl parses the rest.
public struct WebURL: Hashable, Sendable {
    public let text: String
    public let isSecure: Bool
    public let host: String
    /// Path with its leading slash, without query and fragment; `/` where the URL has none.
    public let path: String

    /// Nil for another scheme, a missing host, blanks or control characters, or more than 4,096 bytes.
    public init?(_ text: String) {
        guard text.utf8.count <= 4096, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        switch text[..<colon].lowercased() {
        case "https": isSecure = true
        case "http": isSecure = false
        default: return nil
        }
        let afterScheme = text[text.index(after: colon)...]
        guard afterScheme.hasPrefix("//") else { return nil }
        let rest = afterScheme.dropFirst(2)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let hostAndPort = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        let host = hostAndPort.hasPrefix("[") ? hostAndPort.prefix { $0 != "]" } : hostAndPort.prefix { $0 != ":" }
        guard !host.isEmpty, host != "[" else { return nil }
        let path = rest.dropFirst(authority.count).prefix { $0 != "?" && $0 != "#" }
        self.text = text
        self.host = String(host)
        self.path = path.isEmpty ? "/" : String(path)
    }
}

extension String {
    /// The number of a line that begins with a percentage: ` 90% Copying`, `90 %`.
    public var leadingPercentage: Int? {
        let rest = drop { $0 == " " }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number <= 100 else { return nil }
        return rest.dropFirst(digits.count).drop { $0 == " " }.first == "%" ? number : nil
    }
}
