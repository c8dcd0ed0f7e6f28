import Configuration

extension Documents {
    /// config/upgradelinkd.toml. Every option is in a comment, and no section has a header: an option can be set by removing one
    /// character, and lines of any form can be appended.
    package static var configurationFile: String {
        var lines = [
            "#:schema /usr/share/upgradelinkd/upgradelinkd.schema.json",
            "# The configuration of upgradelinkd. This file has every option, in a comment: with its default, or with an example",
            "# if it has none. Remove the # in front of an option to set it, or append lines. upgradelinkd.toml(5) says more.",
            "#",
            "# Drop-ins in upgradelinkd.toml.d/*.toml are read after this file, in the order of their names, and override it.",
            "# Check the configuration with `upgradelinkd --check-config`, and apply it with `systemctl reload upgradelinkd`.",
            "#",
            "# Lengths of time: 90 (seconds), \"90s\", \"15min\", \"6h\", \"1h 30min\", \"2d\".",
            "# Sizes: 65536 (bytes), \"512K\", \"64M\", \"8G\" (powers of 1024), \"512kB\", \"64MB\", \"8GB\" (powers of 1000).",
        ]
        for section in Schema.sections {
            let title = "# ---- \(section.name): \(section.summary) "
            lines += ["", "", title + String(repeating: "-", count: max(4, 100 - title.count))]
            for block in Markup(section.description).blocks { lines += comment(block) }
            for option in section.options { lines += [""] + entry(option) }
        }
        return lines.map { "\($0)\n" }.joined()
    }

    private static func entry(_ option: ConfigurationOption) -> [String] {
        var text = Markup.plain(Markup.runs(option.sentence))
        switch option.kind {
        case .integer, .duration, .size: text += " Allowed is \(option.range)."
        default: break
        }
        if option.standard == nil {
            text += option.computedDefault.map { " Default: \(Markup.plain(Markup.runs($0)))." } ?? ""
        }
        if option.isCumulative {
            text += " The lists of all configuration files count together; \"\" in the list drops those before it."
        }
        if option.standard != nil, let example = option.example { text += " Example: \(example.toml)." }
        if option.change == .restart { text += " A change needs a restart of the agent." }
        var lines = wrapped(text, prefix: "# ")
        // The meaning of each of the values.
        if case .choice = option.kind {
            for case .list(let items) in Markup(option.description).blocks { lines += comment(.list(items)) }
        }
        return lines + ["#\(option.key) = \((option.standard ?? option.example)?.toml ?? "…")"]
    }

    private static func comment(_ block: Markup.Block) -> [String] {
        switch block {
        case .paragraph(let runs): wrapped(Markup.plain(runs), prefix: "# ")
        case .list(let items):
            items.flatMap { wrapped(Markup.plain($0), prefix: "#   ", following: "#       ") }
        }
    }
}
