import ArgumentParser
import Configuration
import Glibc
import Host
import UpdateCore

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show every effective option and the file that sets it.",
        discussion: """
            The output is TOML, with the file and the line of each value in a comment. Secrets are masked, in comments. With a KEY, \
            it explains that option. It needs root if the configuration is readable for root only; upgradelinkd --check-config \
            checks the values.

            Exit status: 0 done; 64 there is no such option; 77 the configuration cannot be read; 78 it is wrong.
            """)

    @Argument(help: "An option, such as poll.interval.", completion: .list(Schema.options.map(\.key)))
    var key: String?

    @Option(help: ArgumentHelp("Read the files below this directory instead of /.", valueName: "directory"))
    var root = "/"

    @Flag(help: "Only options that a file sets, without the defaults.")
    var changed = false

    @OptionGroup var json: JSONOption

    func validate() throws {
        guard let key, Schema.option(key) == nil else { return }
        let similar = suggestion(for: key, among: Schema.options.map(\.key)).map { "; did you mean \($0)?" } ?? "."
        throw ValidationError("There is no option \"\(key)\"\(similar) upgradelinkctl config shows all.")
    }

    func run() throws {
        let configuration: EffectiveConfiguration
        do throws(Failure) {
            configuration = try Self.read(root: root)
        } catch {
            error.lines.forEach { complain("\($0, limit: 4000)") }
            throw ExitCode(error.exitStatus)
        }
        let entries = configuration.entries.filter { ($0.file != nil || !changed) && (key == nil || $0.key == key) }
        if let form = json.form { return try printJSON(entries.map(ShownOption.init), as: form) }
        if key != nil {
            entries.forEach(explain)
        } else {
            // Its own text, and values that TOML escapes: it has no other control characters. A cut line would not be TOML.
            printText(configuration.toml(changed: changed))
        }
    }

    /// Why there is no effective configuration.
    struct Failure: Error {
        var lines: [String]
        var exitStatus: CInt
    }

    /// - Parameter hidingSuspects: see ``EffectiveConfiguration/init(root:hidingSuspects:)``.
    static func read(root: String, hidingSuspects: Bool = false) throws(Failure) -> EffectiveConfiguration {
        do throws(ConfigurationErrors) {
            return try EffectiveConfiguration(root: root, hidingSuspects: hidingSuspects)
        } catch {
            guard let denied = UnreadableFile.first(root: root, withKeys: false) else {
                throw Failure(lines: error.errors.map { "\($0)" }, exitStatus: EX_CONFIG)
            }
            // What is wrong in the other files is wrong for root, too.
            let others = error.errors.filter { !UnreadableFile.causes($0) }
            throw Failure(lines: [denied.line] + others.map { "\($0)" }, exitStatus: EX_NOPERM)
        }
    }

    private func explain(_ entry: EffectiveConfiguration.Entry) {
        guard let option = Schema.option(entry.key) else { return }
        let place: Shown =
            entry.file.map { file in "\(file)\(entry.line.map { ":\($0)" as Shown } ?? "")" } ?? "the default"
        let standard: Shown =
            option.standard.map { "\($0.toml, limit: 4000)" } ?? option.computedDefault.map {
                "\($0.replacing("`", with: ""))"
            }
            ?? "none"
        let value: Shown =
            entry.toml.map { "\($0, limit: 4000)" } ?? entry.value.map { "\($0, limit: 4000)" } ?? "not set"
        let rows: [(name: Shown, value: Shown)] = [
            ("Option", Terminal.paint("\(entry.key)", .bold)), ("Meaning", "\(option.summary)"), ("Value", value),
            ("Set by", place), ("Default", standard), ("Allowed", "\(option.range)"),
            (
                "Effective",
                option.change == .reload
                    ? "after systemctl reload upgradelinkd" : "after systemctl restart upgradelinkd"
            ),
        ]
        rows.forEach { name, value in say(("\(name):" as Shown).padding(to: 11) + value) }
        guard !option.description.isEmpty else { return }
        say("")
        say(Shown(lines: option.description.replacing("`", with: "")))
    }
}

/// An option as JSON.
private struct ShownOption: Encodable {
    let entry: EffectiveConfiguration.Entry

    private enum CodingKeys: String, CodingKey { case key, value, file, line }

    /// With null for what there is not. The value has its own type.
    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(entry.key, forKey: .key)
        try fields.encode(entry.value.map(JSONText.init), forKey: .value)
        try fields.encode(entry.file, forKey: .file)
        try fields.encode(entry.line, forKey: .line)
    }
}
