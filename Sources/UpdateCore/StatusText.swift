/// The status of an agent that ends because a signal stopped it. The health check of an installation distinguishes it from an agent
/// that ends by itself.
public let stoppedStatus = "Stopped by a signal"

/// The agent's state in one line of plain words, as `systemctl status` shows it.
///
/// - Parameters:
///   - progress: the progress of the running download, if there is one.
///   - phase: the last report of the installer, if it runs.
public func statusText(
    _ state: AgentState, _ context: Context, progress: DownloadProgress? = nil, phase: String? = nil
) -> String {
    let line: String
    if let work = state.work {
        line = describe(work, state, context, progress, phase)
    } else {
        line = describe(state, context)
    }
    return line.sanitized(limit: 400)
}

extension AgentState {
    /// The state in one word, for programs: `idle`, `checking`, `downloading`, `consent`, `ready`, `installing`, `restart`,
    /// `waiting` (for a retry), `error` (the last check failed, or ``lastError`` is set).
    public var name: String {
        switch work?.step {
        case .downloading?: "downloading"
        case .consent?: "consent"
        case .ready?: "ready"
        case .installing?: "installing"
        case .rebootReady?, .rebooting?: "restart"
        case .later?: "waiting"
        case nil:
            if poll.isRunning {
                "checking"
            } else {
                switch poll.outcome {
                case .failing, .misconfigured: "error"
                case .succeeded where lastError != nil: "error"
                case .succeeded, .never: "idle"
                }
            }
        }
    }
}

private func describe(
    _ work: Work, _ state: AgentState, _ context: Context, _ progress: DownloadProgress?, _ phase: String?
) -> String {
    let name = work.offer.versionName
    let missed = context.missedWindowsText(work, state).map { "; \($0)" } ?? ""
    switch work.step {
    case .downloading:
        guard let progress else { return "Downloading \(name)" }
        let rate = "\(describe(bytes: progress.rate))/s"
        return progress.total > 0
            ? "Downloading \(name): \(progress.received * 100 / progress.total) % of \(describe(bytes: progress.total)), \(rate)"
            : "Downloading \(name): \(describe(bytes: progress.received)), \(rate)"
    case .consent:
        let again = work.askAgainAt.map { "; asking again \(context.when($0, state))" } ?? ""
        return "Waiting for consent to install \(work.offer.title)\(again)\(missed)"
    case .installing:
        let forced = work.offer.upgradeType == .forced ? " (forced)" : ""
        return "Installing \(name)\(forced)" + (phase.map { ": \($0)" } ?? "")
    case .ready:
        let next = work.artifact == nil ? "download" : "install"
        let delay = context.delay(work, state).map { $0.line(context, state) } ?? "at once"
        return "Ready to \(next) \(work.offer.title) \(delay)\(missed)"
    case .rebootReady(_, let isRollback, _):
        let delay = context.delay(work, state).map { $0.line(context, state) } ?? "at once"
        return isRollback
            ? "Rebooting \(delay), to roll back \(work.offer.title)"
            : "Rebooting \(delay), to finish \(work.offer.title)\(missed)"
    case .rebooting:
        let purpose = work.rebootWait?.isRollback == true ? "roll back" : "finish"
        return "Rebooting to \(purpose) \(work.offer.title)\(tries(work, context, above: 0))"
    case .later(let at, let why):
        return "\(work.offer.title) waits: \(why.line)\(tries(work, context)); next try \(context.when(at, state))"
    }
}

/// How often something was tried, and since when.
private func tries(_ work: Work, _ context: Context, above limit: Int = 1) -> String {
    guard work.obstacles > limit else { return "" }
    let since = work.obstaclesSince.map { " since \(context.date($0))" } ?? ""
    return "; tried \(counted(work.obstacles, "time"))\(since)"
}

private func describe(_ state: AgentState, _ context: Context) -> String {
    let when = context.when(state.poll.next, state)
    let next = "next check \(when)"
    if state.poll.isRunning { return "Checking for updates (\(context.installed.title))" }
    switch state.poll.outcome {
    case .never:
        return "Started (\(context.installed.title)); first check \(when)"
    case .succeeded:
        if let error = state.lastError { return "\(error.capitalizedFirst); \(next)" }
        return "Up to date (\(context.installed.title)); \(next)"
    case .failing, .misconfigured:
        return "\((state.lastError ?? "the last check failed").capitalizedFirst); \(next)"
    }
}
