extension String {
    /// This text in a form that is safe for users and terminals: no control characters, no characters that
    /// reorder or hide text, and at most `limit` characters. Line breaks become spaces.
    public func sanitized(limit: Int) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in unicodeScalars.prefix(limit * 8) {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator:
                shown.append(" ")
            case .format, .surrogate, .privateUse, .unassigned:
                // U+200D joins emoji and is needed by several scripts; the other format characters
                // (bidirectional overrides among them) can make a text look like another one.
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

/// An absolute http or https URL with a host. It is parsed only as far as the agent needs; libcurl parses the rest.
public struct WebURL: Hashable, Sendable {
    public let text: String
    public let isSecure: Bool
    public let host: String
    /// The path with its leading slash, without query and fragment; `/` if the URL has no path.
    public let path: String

    /// Nil if the scheme is another one, the host is missing, there are blanks or control characters, or more than 4,096 bytes.
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
    /// The percentage at the start of a line, 0 to 100: ` 90% Copying`, `90 %`. Nil if there is none.
    public var leadingPercentage: Int? {
        let rest = drop { $0 == " " }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number <= 100 else { return nil }
        return rest.dropFirst(digits.count).drop { $0 == " " }.first == "%" ? number : nil
    }
}
