import ArgumentParser
import Configuration
import Glibc
import Host
import Systemd
import UpdateCore

/// The options of commands that can wait for the result of what they begin.
struct WaitOptions: ParsableArguments {
    @Flag(help: "Wait for the result, and show the progress.")
    var wait = false

    @Option(
        help: ArgumentHelp("With --wait: the longest wait, such as 10min. The update continues.", valueName: "time"))
    var timeout: String?

    static let discussion = """
        With --wait, the exit status is the result: 0 installed, or up to date; 1 not installed, for the reason on standard error; \
        3 it waits for the user's consent, a maintenance window, an inhibitor or a reboot; 124 the time of --timeout is over. \
        Ctrl-C ends the wait, not the update.
        """

    func validate() throws {
        guard let timeout else { return }
        guard wait else { throw ValidationError("--timeout needs --wait.") }
        guard Amount.seconds(timeout) != nil else {
            throw ValidationError("\"\(timeout)\" is not a length of time such as 30s, 10min or 1h.")
        }
    }
}

/// Waits for the result of what a command begins.
@MainActor final class Waiting {
    enum Goal {
        /// The check ends, and what it finds is installed.
        case check
        /// This version is installed.
        case version(UInt64)
    }

    private let agent: AgentClient
    private let timeLimit: Seconds?
    private let screen = Terminal.isInteractive ? Screen(.row) : nil
    private var hasChanged = true
    private var hasFinished = true
    private var shown: Shown = ""
    private var lastStatus: AgentStatus?
    private var lastRead: BootInstant?
    /// The check has not ended yet.
    private var isChecking = false
    /// The agent that was asked.
    private var owner: String
    /// The history before the command.
    private let before: [Identity]

    /// Seconds for which the agent may be absent: it restarts during its own update.
    private static let patience: Seconds = 120
    /// Seconds between two reads of the state, if no signal comes.
    private static let interval: Seconds = 5
    /// As timeout(1).
    private static let timedOut: CInt = 124

    /// Subscribes to the agent's signals, so that a result that comes during the command is not missed.
    init(_ agent: AgentClient, _ options: WaitOptions) throws {
        self.agent = agent
        timeLimit = options.timeout.flatMap(Amount.seconds)
        before = try agent.history().map(Identity.init)
        owner = try agent.owner()
        agent.onChange { [weak self] in self?.hasChanged = true }
        agent.onFinished { [weak self] in self?.hasFinished = true }
    }

    /// Waits until the goal is reached or missed, and ends the process with the result unless that is 0.
    func wait(for goal: Goal) throws {
        // Before this, a signal ends the process as usual.
        ReceivedSignals.note(SIGINT, SIGTERM, SIGHUP, SIGWINCH)
        let start = Clock.bootTime
        var lastContact = start
        if case .check = goal { isChecking = true }
        while true {
            if let signal = ReceivedSignals.end { throw end(128 + signal, "no longer waiting") }
            if let timeLimit, Clock.bootTime - start >= timeLimit {
                throw end(Self.timedOut, "no result after \(describe(timeLimit))")
            }
            if ReceivedSignals.take(SIGWINCH), let lastStatus {
                shown = ""
                show(lastStatus)
            }
            let news: Result?
            do throws(BusError) {
                news = try next(goal)
                lastContact = Clock.bootTime
            } catch {
                guard Clock.bootTime - lastContact < Self.patience else {
                    screen?.close()
                    throw error
                }
                (hasChanged, hasFinished) = (true, true)
                usleep(500_000)
                continue
            }
            if let news { return try finish(news) }
        }
    }

    /// Reads the state if it may have changed, or waits for a change.
    private func next(_ goal: Goal) throws(BusError) -> Result? {
        try agent.process()
        // An end is looked up in the history after the check.
        let isNews = hasChanged || hasFinished && !isChecking
        guard isNews || lastRead.map({ Clock.bootTime - $0 >= Self.interval }) ?? true else {
            agent.wait(seconds: 1)
            return nil
        }
        hasChanged = false
        let status = try agent.status()
        lastRead = Clock.bootTime
        if isChecking, case let present = try agent.owner(), present != owner {
            // An agent that restarts during a check does not repeat it at once.
            owner = present
            try requestCheck()
            hasChanged = true
            return nil
        }
        if !status.isChecking { isChecking = false }
        show(status)
        if isChecking { return nil }
        let result = try result(status, goal)
        if result == nil { usleep(100_000) }
        return result
    }

    private func requestCheck() throws(BusError) {
        do throws(BusError) {
            try agent.call("Check")
        } catch {
            // It works on an offer: that is what is waited for.
            guard AgentClient.isNotNow(error) else { throw error }
        }
    }

    // MARK: the result

    private struct Result {
        var status: CInt
        var line: Shown
    }

    /// Nil if the end is still to come.
    private func result(_ status: AgentStatus, _ goal: Goal) throws(BusError) -> Result? {
        // The history is read after the state, so that it is not older.
        let mayHaveEntry = hasFinished || !status.isBusy
        hasFinished = false
        var reason: Shown = "\(status.statusText)"
        if mayHaveEntry {
            let news = news(in: try agent.history())
            for entry in news.reversed() where goal.concerns(entry) {
                let name: Shown = "\(entry.versionName, limit: 64) (code \(entry.versionCode))"
                switch entry.result {
                case "installed": return Result(status: 0, line: "Installed \(name)")
                // The next version, or the next try, follows.
                case "replaced", "interrupted", "dropped": reason = "\(entry.reason, limit: 500)"
                default:
                    let why: Shown = entry.reason.isEmpty ? "" : ": \(entry.reason, limit: 500)"
                    return Result(status: 1, line: "\(name) was not installed, \(entry.result, limit: 64)\(why)")
                }
            }
        }
        return switch status.state {
        case "idle": idle(status, goal, reason)
        case "error", "waiting": Result(status: 1, line: "\(status.statusText)")
        case "ready" where status.isAnnounced: nil
        case "consent", "ready", "restart": Result(status: 3, line: "\(status.statusText)")
        default: nil
        }
    }

    /// The entries in front of those from before the command. Two attempts within a second can be equal, so one entry does not tell.
    private func news(in history: [HistoryEntry]) -> ArraySlice<HistoryEntry> {
        let identities = history.map(Identity.init)
        let count = (0...history.count).first {
            identities.dropFirst($0).elementsEqual(before.prefix(history.count - $0))
        }
        return history.prefix(count ?? history.count)
    }

    private func idle(_ status: AgentStatus, _ goal: Goal, _ reason: Shown) -> Result {
        switch goal {
        case .check: Result(status: 0, line: "\(status.statusText)")
        case .version(let code) where status.installed.versionCode == code:
            Result(status: 0, line: "\(status.statusText)")
        case .version(let code): Result(status: 1, line: "version \(code) was not installed: \(reason)")
        }
    }

    /// What distinguishes an entry of the history from the others.
    private struct Identity: Equatable {
        let numbers: [UInt64]
        let result: String

        init(_ entry: HistoryEntry) {
            numbers = [entry.versionCode, entry.started, entry.ended]
            result = entry.result
        }
    }

    // MARK: output

    private func show(_ status: AgentStatus) {
        lastStatus = status
        let bar: Shown =
            status.state == "downloading" && screen != nil
            ? "\(Terminal.bar(status.progress.received, of: status.progress.total)) " : ""
        let line: Shown = "\(bar)\(status.statusText)"
        guard line != shown else { return }
        shown = line
        if let screen { screen.show([Line(text: line)]) } else { say(line) }
    }

    private func finish(_ result: Result) throws {
        screen?.close()
        guard result.status != 0 else {
            if result.line != shown || screen != nil { say(result.line) }
            return
        }
        complain(result.line)
        throw ExitCode(result.status)
    }

    private func end(_ status: CInt, _ why: Shown) -> ExitCode {
        screen?.close()
        complain("\(why); the update continues: upgradelinkctl status --watch")
        return ExitCode(status)
    }
}

extension Waiting.Goal {
    fileprivate func concerns(_ entry: HistoryEntry) -> Bool {
        switch self {
        case .check: true
        case .version(let code): entry.versionCode == code
        }
    }
}

extension AgentStatus {
    /// A check runs: while an offer waits, the state does not say so.
    fileprivate var isChecking: Bool { state == "checking" || nextCheck == 0 }

    fileprivate var isBusy: Bool { ["checking", "downloading", "installing"].contains(state) }

    /// A forced version, whose grace period ends by itself; a few seconds after its end, something else delays it.
    fileprivate var isAnnounced: Bool {
        offer.upgradeType == "forced" && Seconds(deadline) + 5 > Clock.wallTime.unixSeconds
    }
}
