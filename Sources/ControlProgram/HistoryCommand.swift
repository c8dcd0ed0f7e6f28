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
            let when = LocalTime.text(WallTime(unixSeconds: Seconds(entry.ended)))
            let took = describe(Seconds(entry.ended) - Seconds(entry.started))
            let result = Terminal.paint(entry.result, entry.result == "installed" ? .green : .red)
            var line = "\(when)  \(result)  \(entry.versionName.sanitized(limit: 64)) (code \(entry.versionCode)), "
            line += "\(entry.upgradeType), \(describe(bytes: Int(clamping: entry.bytes))), took \(took)"
            say(entry.reason.isEmpty ? line : "\(line): \(entry.reason.sanitized(limit: 300))")
        }
    }
}
