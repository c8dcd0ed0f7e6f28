import Configuration

extension Documents {
    /// The options of docs/configuration.md, in Markdown.
    package static var reference: String {
        var lines: [String] = []
        for section in Schema.sections {
            lines += ["", "## \(section.name)", "", "\(section.summary)."]
            for block in Markup(section.description).blocks { lines += [""] + text(block) }
            lines += ["", "| option | default | |", "|---|---|---|"]
            for option in section.options {
                let value = markdown(Markup.runs(option.defaultText ?? "not set")).replacing("|", with: "\\|")
                lines.append(
                    "| \(link(option.key, option.name)) | \(value) | \(markdown(Markup.runs(option.summary))) |")
            }
            for option in section.options { lines += entry(option) }
        }
        return lines.map { "\($0)\n" }.joined()
    }

    private static func entry(_ option: ConfigurationOption) -> [String] {
        var lines =
            ["", "### \(option.key)", ""] + wrapped(markdown(Markup.runs(option.sentence)), prefix: "", width: 120)
        for block in Markup(option.details).blocks { lines += [""] + text(block) }
        var facts: [String] = []
        if case .choice(let names) = option.kind {
            facts.append("allowed: " + names.map { "`\"\($0)\"`" }.joined(separator: ", "))
        } else {
            facts.append("allowed: \(option.range)")
        }
        if let unit = option.unit { facts.append("a plain number is in \(unit)") }
        facts.append("default: \(markdown(Markup.runs(option.defaultText ?? "not set")))")
        if let example = option.exampleText { facts.append("example: \(example)") }
        facts.append("a change needs: `systemctl \(option.change.rawValue) upgradelinkd`")
        return lines + [""] + facts.map { "- \($0)" }
    }

    private static func text(_ block: Markup.Block) -> [String] {
        switch block {
        case .paragraph(let runs): wrapped(markdown(runs), prefix: "", width: 120)
        case .list(let items): items.flatMap { wrapped(markdown($0), prefix: "- ", following: "  ", width: 120) }
        }
    }

    /// Literals are code; the key of an option is a link to it.
    private static func markdown(_ runs: [Markup.Run]) -> String {
        runs.map { run in
            switch run {
            case .text(let text): text.replacing("*", with: "\\*").replacing("_", with: "\\_")
            case .literal(let text): Schema.option(text) == nil ? "`\(text)`" : link(text, text)
            }
        }.joined()
    }

    /// The anchor that hosts of Markdown give to a heading: lower case, without punctuation.
    private static func link(_ key: String, _ name: String) -> String {
        "[`\(name)`](#\(key.lowercased().filter { $0.isLetter || $0.isNumber || $0 == "-" }))"
    }
}
