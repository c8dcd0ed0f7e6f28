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

    /// This text without the mark U+FEFF that some editors write in front of it.
    public var withoutByteOrderMark: Substring { hasPrefix("\u{FEFF}") ? dropFirst() : self[...] }

    /// This line without blanks around it, and then without a pair of quotes around it.
    public var unquoted: String {
        let text = replacing("\t", with: " ").trimmed
        guard let quote = text.first, quote == "\"" || quote == "'", text.count > 1, text.last == quote else {
            return text
        }
        return String(text.dropFirst().dropLast())
    }

    var trimmed: String {
        var rest = self[...]
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
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
