import Configuration

extension Documents {
    /// The section OPTIONS of upgradelinkd.toml(5), in the language of man(7).
    package static var manualOptions: String {
        var lines: [String] = []
        for section in Schema.sections {
            lines += [".SS \(escaped(section.name))", "\(section.summary)."]
            for block in Markup(section.description).blocks { lines += [".PP"] + text(block) }
            for option in section.options { lines += entry(option) }
        }
        return lines.map { "\($0)\n" }.joined()
    }

    private static func entry(_ option: ConfigurationOption) -> [String] {
        var lines = [".TP", ".B \(escaped(option.key))"] + sentences(Markup.runs(option.sentence))
        for block in Markup(option.details).blocks {
            if case .paragraph = block { lines.append(".IP") }
            lines += text(block)
        }
        var facts: [String] = []
        if let range = option.rangeText { facts.append("Allowed: \(range).") }
        if let unit = option.unit { facts.append("A plain number is in \(unit).") }
        if let text = option.defaultText { facts.append("Default: \(text).") }
        if let text = option.exampleText { facts.append("Example: \(text).") }
        if option.change == .restart { facts.append("A change needs `systemctl restart upgradelinkd`.") }
        return lines + [".IP"] + facts.flatMap { sentences(Markup.runs($0)) }
    }

    private static func text(_ block: Markup.Block) -> [String] {
        switch block {
        case .paragraph(let runs): sentences(runs)
        case .list(let items):
            [".RS"] + items.flatMap { [".IP \\(bu 2"] + sentences($0) } + [".RE"]
        }
    }

    /// A line for each sentence, as man(7) recommends. Literals are bold.
    private static func sentences(_ runs: [Markup.Run]) -> [String] {
        let text = runs.map { run in
            switch run {
            case .text(let text): escaped(text).replacing(". ", with: ".\n").replacing("; ", with: ";\n")
            case .literal(let text): "\\fB\(escaped(text))\\fP"
            }
        }.joined()
        // A line must not begin with a control character of roff.
        return text.split(separator: "\n").map { $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&\($0)" : String($0) }
    }

    /// A hyphen in a value must stay one when it is copied from the page.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("…", with: "...")
            .replacing("±", with: "\\(+-").replacing("\"", with: "\\(dq").replacing("'", with: "\\(aq")
    }
}
