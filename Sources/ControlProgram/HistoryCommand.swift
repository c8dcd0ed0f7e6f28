import ArgumentParser
import Host
import Systemd
import UpdateCore

struct HistoryCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show the results of the last 50 updates, the latest first.")

    @Flag(help: "As JSON; times in seconds since 1970.")
    var json = false

    func run(_ agent: AgentClient) throws {
        let entries = try agent.history()
        if json { return try printJSON(entries) }
        if entries.isEmpty { return say("Nothing has been installed yet.") }
        for entry in entries.reversed() {
            let when = LocalTime.text(WallTime(unixSeconds: Seconds(min(entry.ended, Terminal.latest))))
            let took = describe(max(0, Seconds(entry.ended) - Seconds(entry.started)))
            let result = Terminal.paint("\(entry.result, limit: 64)", entry.result == "installed" ? .green : .red)
            let version: Shown =
                "\(entry.versionName, limit: 64) (code \(entry.versionCode)), \(entry.upgradeType, limit: 64)"
            let line: Shown =
                "\(when)  \(result)  \(version), \(describe(bytes: Int(clamping: entry.bytes))), took \(took)"
            say(entry.reason.isEmpty ? line : "\(line): \(entry.reason, limit: 500)")
        }
    }
}
