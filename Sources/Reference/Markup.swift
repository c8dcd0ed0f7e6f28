/// A description of the schema, in parts: paragraphs and lists, in which literals are told from text.
struct Markup {
    enum Block {
        case paragraph([Run])
        case list([[Run]])
    }

    enum Run {
        case text(String)
        /// A value, a path, a command or the key of an option.
        case literal(String)
    }

    let blocks: [Block]

    /// Paragraphs are separated by empty lines, literals are between backquotes, items of a list begin with "- ".
    init(_ text: String) {
        blocks = text.split(separator: "\n\n").map { block in
            guard block.hasPrefix("- ") else { return .paragraph(Self.runs(block)) }
            return .list(block.split(separator: "\n").map { Self.runs($0.dropFirst(2)) })
        }
    }

    static func runs(_ text: some StringProtocol) -> [Run] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated().compactMap { index, part in
            if part.isEmpty { return nil }
            return index.isMultiple(of: 2) ? .text(String(part)) : .literal(String(part))
        }
    }

    static func plain(_ runs: [Run]) -> String {
        runs.map {
            switch $0 {
            case .text(let text), .literal(let text): text
            }
        }.joined()
    }
}

/// A text in lines of at most `width` characters, each with the prefix; a word is never cut.
func wrapped(_ text: String, prefix: String, following: String? = nil, width: Int = 100) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
        if line.isEmpty {
            line = (lines.isEmpty ? prefix : following ?? prefix) + word
        } else if line.count + 1 + word.count > width {
            lines.append(line)
            line = (following ?? prefix) + word
        } else {
            line += " \(word)"
        }
    }
    return line.isEmpty ? lines : lines + [line]
}
