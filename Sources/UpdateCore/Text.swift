extension Unicode.Scalar {
    /// Whether this is not a character to see: a control character, or one that hides or reorders the text around it.
    /// Terminals act on such characters, logs take line breaks for the end of an entry, and readers are deceived by the others.
    public var isHidden: Bool {
        switch properties.generalCategory {
        // The format characters include the bidirectional marks, the zero-width ones, the byte order mark and the tags.
        case .control, .lineSeparator, .paragraphSeparator, .format, .surrogate, .privateUse, .unassigned: true
        // Fillers and variation selectors; U+FE0E and U+FE0F select the form of an emoji.
        default: properties.isDefaultIgnorableCodePoint && value != 0xFE0E && value != 0xFE0F
        }
    }

    private var isLineBreakOrControl: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    /// What is shown for a hidden character.
    fileprivate var replacement: Unicode.Scalar? { isLineBreakOrControl ? " " : nil }
}

extension String {
    /// This text in a form that is safe for users, terminals and logs: no ``Unicode/Scalar/isHidden`` characters, and at most
    /// `limit` characters. Line breaks and other control characters become spaces.
    public func sanitized(limit: Int) -> String { String(visible(scalars: limit * 8).prefix(limit)).trimmed }

    /// The same for a text of several lines: it keeps its line breaks, and the spaces at the beginning of a line.
    ///
    /// - Parameter limit: the characters of all lines together.
    public func sanitizedLines(limit: Int) -> String {
        let lines = String(unicodeScalars.prefix(limit * 8)).split(separator: "\n", omittingEmptySubsequences: false)
        return String(lines.map { String($0).visible(scalars: limit * 8) }.joined(separator: "\n").prefix(limit))
    }

    private func visible(scalars limit: Int) -> String {
        var shown = String.UnicodeScalarView()
        // U+200D joins emoji and is needed by several scripts. Anywhere else it only hides a difference.
        var hasJoiner = false
        for scalar in unicodeScalars.prefix(limit) {
            if scalar == "\u{200D}" {
                hasJoiner = shown.last.map { !$0.isASCII } ?? false
                continue
            }
            guard let next = scalar.isHidden ? scalar.replacement : scalar else { continue }
            if hasJoiner, !next.isASCII { shown.append("\u{200D}") }
            hasJoiner = false
            shown.append(next)
        }
        return String(shown)
    }

    /// The first hidden character, as messages name it: `a line break`, `a control character (U+001B)`; nil if there is none.
    public var hiddenCharacter: String? {
        guard let scalar = unicodeScalars.first(where: \.isHidden) else { return nil }
        if scalar == "\n" || scalar == "\r" { return "a line break" }
        let digits = String(scalar.value, radix: 16, uppercase: true)
        let name = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return scalar.replacement == nil ? "an invisible character (\(name))" : "a control character (\(name))"
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

/// A count with its noun: "1 failure", "3 failures".
///
/// - Parameter nouns: for more than one, if it is not `noun` and an s.
public func counted(_ count: Int, _ noun: String, _ nouns: String? = nil) -> String {
    count == 1 ? "1 \(noun)" : "\(count) \(nouns ?? "\(noun)s")"
}
