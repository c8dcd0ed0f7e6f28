import ArgumentParser
import Host
import Systemd
import UpdateCore

struct HistoryCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show the results of the last updates, the latest first.",
        discussion: "The agent remembers 50. JSON has the same order.")

    @Option(
        name: [.customShort("n", allowingJoined: true), .customLong("lines")],
        help: ArgumentHelp("Show the latest N entries only.", valueName: "N"))
    var limit = HistoryEntry.limit

    @OptionGroup var json: JSONOption

    func validate() throws {
        guard limit >= 0 else { throw ValidationError("-n \(limit) is not a number of entries: 0 or more.") }
    }

    func run(_ agent: AgentClient) throws {
        let entries = Array(try agent.history().prefix(limit))
        if let form = json.form { return try printJSON(entries, as: form) }
        if entries.isEmpty, limit > 0 { say("Nothing has been installed yet.") }
        entries.forEach { say(line($0)) }
    }

    private func line(_ entry: HistoryEntry) -> Shown {
        let when = LocalTime.text(WallTime(unixSeconds: Seconds(min(entry.ended, Terminal.latest))))
        let took = describe(max(0, Seconds(entry.ended) - Seconds(entry.started)))
        let result = Terminal.paint("\(entry.result, limit: 64)", entry.result == "installed" ? .green : .red)
        let kind: Shown = entry.source == "file" ? "from a local file" : "\(entry.upgradeType, limit: 64)"
        let version: Shown = "\(entry.versionName, limit: 64) (code \(entry.versionCode)), \(kind)"
        let line: Shown =
            "\(when)  \(result)  \(version), \(describe(bytes: ByteCount(clamping: entry.bytes))), took \(took)"
        return entry.reason.isEmpty ? line : "\(line): \(entry.reason, limit: 500)"
    }
}
