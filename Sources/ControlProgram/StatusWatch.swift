import ArgumentParser
import Glibc
import Host
import Systemd
import UpdateCore

/// Shows the state now and after each change that the agent signals, at most ten times a second, until a signal ends it.
@MainActor final class StatusWatch {
    private let agent: AgentClient
    /// Nil: as text; on the whole screen of a terminal.
    private let json: JSONForm?
    private let screen: Screen?
    private var last: AgentStatus?
    private var shown: Shown = ""
    private var hasChanged = true

    init(_ agent: AgentClient, json: JSONForm?) {
        self.agent = agent
        self.json = json
        ReceivedSignals.note(SIGINT, SIGTERM, SIGHUP, SIGWINCH)
        screen = json == nil && Terminal.isInteractive ? Screen(.whole) : nil
        agent.onChange { [weak self] in self?.hasChanged = true }
    }

    /// - Returns: the signal that ended it.
    func follow() throws -> CInt {
        do {
            while true {
                if let signal = ReceivedSignals.end {
                    close()
                    return signal
                }
                try next()
            }
        } catch {
            close()
            throw error
        }
    }

    private func next() throws {
        if ReceivedSignals.take(SIGWINCH), let last { screen?.show(lines(last)) }
        if hasChanged {
            hasChanged = false
            try show(try agent.status())
            usleep(100_000)
        }
        try agent.process()
        // A signal that arrives just before the wait is noticed after it.
        if !hasChanged { agent.wait(seconds: 1) }
    }

    private func show(_ status: AgentStatus) throws {
        last = status
        if let json { return try printJSON(status, as: json) }
        if let screen { return screen.show(lines(status)) }
        let line: Shown = "\(status.statusText)"
        if line != shown { say(line) }
        shown = line
    }

    /// What was seen last remains on the terminal.
    private func close() {
        guard let screen else { return }
        screen.close()
        if let last { StatusRows.lines(last).forEach { say($0.text) } }
    }

    private func lines(_ status: AgentStatus) -> [Line] {
        var lines = StatusRows.lines(status)
        if status.state == "downloading" {
            let width = min(60, max(10, Terminal.size.columns - 2))
            let bar = Terminal.bar(status.progress.received, of: status.progress.total, width: width)
            lines.insert(Line(text: bar), at: 1)
        }
        return lines + [Line(text: ""), Line(text: "Ctrl-C ends this view; the agent continues.")]
    }
}
