import ArgumentParser
import UpdateCore

/// The command line before it is parsed: what the parser would misunderstand is reported or rewritten.
struct Arguments {
    /// The arguments without the program's name.
    private(set) var words: [String]

    private static let help = "See upgradelinkctl --help"

    init(_ words: [String]) { self.words = words }

    /// Names the first unknown command, with the one that was probably meant. Nil if all are known and in their place.
    /// The parser takes a word that is
    /// no command as an argument of `status`, and `help` ignores one.
    var unknownCommand: Shown? {
        // The options of `status` may come first: their values follow an equals sign.
        let options = words.prefix { $0 == "--json" || $0.hasPrefix("--json=") || $0 == "--watch" }
        guard let first = words.dropFirst(options.count).first, !first.hasPrefix("-") else { return nil }
        let asked =
            first == "help" && options.isEmpty ? words.dropFirst().first { !$0.hasPrefix("-") } : first
        guard let asked else { return nil }
        if Self.commands.contains(asked) {
            return options.isEmpty
                ? nil : "write the command \(asked, limit: 64) first, and its options behind it. \(Self.help)"
        }
        if options.last == "--json", JSONForm.allValueStrings.contains(asked) {
            return "unknown command \"\(asked)\"; did you mean --json=\(asked)? \(Self.help)"
        }
        let visible =
            Command.configuration.subcommands.filter { $0.configuration.shouldDisplay }.map(Self.name) + ["help"]
        let similar = suggestion(for: asked, among: visible).map { "; did you mean \($0)?" as Shown } ?? "."
        return "unknown command \"\(asked, limit: 64)\"\(similar) \(Self.help)"
    }

    private static let commands = Command.configuration.subcommands.map(name) + ["help"]

    private static func name(_ command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? "\(command)".lowercased()
    }

    /// `--json` without a value, in a form in which the parser does not take the next argument as its value.
    var forParser: [String] {
        let end = words.firstIndex(of: "--") ?? words.endIndex
        return words[..<end].map { $0 == "--json" ? "--json=\(JSONForm.automatic.rawValue)" : $0 } + words[end...]
    }
}
