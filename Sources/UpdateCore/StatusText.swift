/// The agent's state in one line of plain words, as `systemctl status` shows it.
///
/// - Parameters:
///   - progress: of the running download, if one is under way.
///   - phase: what the installer said last, if it is at work.
public func statusText(
    _ state: AgentState, _ context: Context, progress: DownloadProgress? = nil, phase: String? = nil
) -> String {
    let line: String
    if let work = state.work {
        line = describe(work, state, context, progress, phase)
    } else {
        line = describe(state, context)
    }
    return line.forPeople(limit: 400)
}

extension AgentState {
    /// The state in one word, for programs: `idle`, `checking`, `downloading`, `consent`, `ready`, `installing`, `restart`,
    /// `waiting` (for a second try), `error` (the last check failed, or a version was given up).
    public var name: String {
        switch work?.step {
        case .downloading?: "downloading"
        case .consent?: "consent"
        case .ready?: "ready"
        case .installing?: "installing"
        case .restartReady?, .restarting?: "restart"
        case .later?: "waiting"
        case nil:
            if poll.isRunning {
                "checking"
            } else {
                switch poll.mood {
                case .troubled, .misconfigured: "error"
                case .answered where lastError != nil: "error"
                case .answered, .never: "idle"
                }
            }
        }
    }
}

private func describe(
    _ work: Work, _ state: AgentState, _ context: Context, _ progress: DownloadProgress?, _ phase: String?
) -> String {
    let name = work.offer.versionName
    switch work.step {
    case .downloading:
        guard let progress else { return "Downloading \(name)" }
        let rate = "\(describe(bytes: progress.rate))/s"
        return progress.total > 0
            ? "Downloading \(name): \(progress.received * 100 / progress.total) % of \(describe(bytes: progress.total)), \(rate)"
            : "Downloading \(name): \(describe(bytes: progress.received)), \(rate)"
    case .consent:
        let again = work.askAgainAt.map { "; asking again \(context.when($0, state))" } ?? ""
        return "Waiting for consent to install \(work.offer.title)\(again)"
    case .installing:
        let forced = work.offer.upgradeType == .forced ? " (forced)" : ""
        return "Installing \(name)\(forced)" + (phase.map { ": \($0)" } ?? "")
    case .ready:
        let next = work.artifact == nil ? "download" : "install"
        let hold = context.hold(work, state).map { $0.line(context, state) } ?? "at once"
        return "Ready to \(next) \(work.offer.title) \(hold)"
    case .restartReady(_, let isRollback, _):
        let hold = context.hold(work, state).map { $0.line(context, state) } ?? "at once"
        return isRollback
            ? "Restarting \(hold), to get back from \(work.offer.title)"
            : "Restarting \(hold), to finish \(work.offer.title)"
    case .restarting:
        return "Restarting to finish \(work.offer.title)"
    case .later(let at, let why):
        return "\(work.offer.title) waits: \(why.line); next try \(context.when(at, state))"
    }
}

private func describe(_ state: AgentState, _ context: Context) -> String {
    let when = context.when(state.poll.next, state)
    let next = "next check \(when)"
    if state.poll.isRunning { return "Asking the server (\(context.installed.title))" }
    switch state.poll.mood {
    case .never:
        return "Started (\(context.installed.title)); first check \(when)"
    case .answered:
        if let error = state.lastError { return "\(error.capitalizedFirst); \(next)" }
        return "Up to date (\(context.installed.title)); \(next)"
    case .troubled, .misconfigured:
        return "\((state.lastError ?? "the last check failed").capitalizedFirst); \(next)"
    }
}
