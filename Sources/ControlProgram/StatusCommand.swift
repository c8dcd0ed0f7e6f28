import ArgumentParser
import Glibc
import Systemd
import UpdateCore

struct StatusCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what the agent does and what is offered.",
        discussion: "Exit status: 0 up to date, 1 something is pending or in progress, 2 something is wrong.")

    @OptionGroup var json: JSONOption

    @Flag(help: "Show every change until interrupted; with a progress bar on a terminal.")
    var watch = false

    func validate() throws {
        if watch { _ = try json.lines() }
    }

    func run(_ agent: AgentClient) throws {
        if watch { throw ExitCode(128 + (try StatusWatch(agent, json: try json.lines()).follow())) }
        let status = try agent.status()
        if let form = json.form {
            try printJSON(status, as: form)
        } else {
            StatusRows.lines(status).forEach { say($0.text) }
        }
        if status.exitStatus != 0 { throw ExitCode(status.exitStatus) }
    }
}

/// The rows of the status.
enum StatusRows {
    private static let nameWidth = 13

    static func lines(_ status: AgentStatus) -> [Line] {
        rows(status).map { name, value in
            Line(
                text: (name.isEmpty ? "" : "\(name):" as Shown).padding(to: nameWidth) + value,
                indentation: nameWidth)
        }
    }

    private static func rows(_ status: AgentStatus) -> [(name: Shown, value: Shown)] {
        let colour: Terminal.Colour =
            switch status.exitStatus {
            case 0: .green
            case 1: .yellow
            default: .red
            }
        var rows: [(name: Shown, value: Shown)] = [
            ("Status", Terminal.paint("\(status.statusText)", colour)),
            ("Installed", title(status.installed.versionCode, status.installed.versionName)),
        ]
        let offer = status.offer
        if offer.versionCode > 0 {
            let size: Shown = offer.size > 0 ? ", \(describe(bytes: ByteCount(clamping: offer.size)))" : ""
            let kind: Shown = offer.source == "file" ? "from a local file" : "\(offer.upgradeType, limit: 64)"
            rows.append(("Offer", "\(title(offer.versionCode, offer.versionName)), \(kind)\(size)"))
            if !offer.text.isEmpty { rows.append(("", "\(offer.text)")) }
        }
        if status.state == "consent" {
            rows.append(("Deferrals", "\(status.deferralsLeft) left"))
            // A silent version asks only because it has missed its maintenance windows.
            let reject: Shown = offer.upgradeType == "silent" ? "" : " | reject"
            rows.append(("To do", "upgradelinkctl accept | defer 2h\(reject)"))
        }
        if status.deadline > 0 { rows.append(("Deadline", Terminal.moment(status.deadline))) }
        for inhibitor in status.inhibitors {
            let why: Shown = inhibitor.why.isEmpty ? "" : ": \(inhibitor.why, limit: 200)"
            rows.append(("Inhibited", "\(inhibitor.what, limit: 64) by \(inhibitor.who, limit: 64)\(why)"))
        }
        for refused in status.refusedVersions { rows.append(row(refused)) }
        for warning in status.warnings { rows.append(("Warning", Terminal.paint("\(warning)", .red))) }
        if status.nextCheck > 0 { rows.append(("Next check", Terminal.moment(status.nextCheck))) }
        if status.lastCheck > 0 { rows.append(("Last check", Terminal.moment(status.lastCheck))) }
        if !status.lastError.isEmpty { rows.append(("Last error", "\(status.lastError)")) }
        if status.speedLimit > 0 {
            rows.append(("Speed limit", "\(describe(configuredSize: ByteCount(clamping: status.speedLimit)))/s"))
        }
        return rows
    }

    private static func row(_ refused: AgentStatus.Refused) -> (name: Shown, value: Shown) {
        let remedy: Shown = "upgradelinkctl retry \(refused.versionCode)"
        let version = title(refused.versionCode, refused.versionName)
        guard refused.why == "blocked" else { return ("Rejected", "\(version); \(remedy)") }
        let failures = counted(Int(clamping: refused.failures), "failure")
        return ("Blocked", "\(version) after \(failures, limit: 40): \(refused.reason, limit: 200); \(remedy)")
    }

    private static func title(_ code: UInt64, _ name: String) -> Shown {
        code == 0 ? "unknown" : name.isEmpty ? "code \(code)" : "\(name, limit: 128) (code \(code))"
    }
}
