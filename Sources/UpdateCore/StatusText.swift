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
        line = describe(work, context, progress, phase)
    } else {
        line = describe(state, context)
    }
    return line.forPeople(limit: 400)
}

private func describe(
    _ work: Work, _ context: Context, _ progress: DownloadProgress?, _ phase: String?
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
        return "Waiting for consent to install \(work.offer.title)"
    case .installing:
        let forced = work.offer.upgradeType == .forced ? " (forced)" : ""
        return "Installing \(name)\(forced)" + (phase.map { ": \($0)" } ?? "")
    case .restarting:
        return "Restarting to finish \(work.offer.title)"
    case .later(let at, let why):
        return "\(work.offer.title) waits: \(why.line); next try in \(describe(at - context.now))"
    }
}

private func describe(_ state: AgentState, _ context: Context) -> String {
    let next = "next check in \(describe(state.poll.next - context.now))"
    if state.poll.isRunning { return "Asking the server (\(context.installed.title))" }
    switch state.poll.mood {
    case .never:
        return "Started (\(context.installed.title)); first check in \(describe(state.poll.next - context.now))"
    case .answered:
        if let error = state.lastError { return "\(error.capitalizedFirst); \(next)" }
        return "Up to date (\(context.installed.title)); \(next)"
    case .troubled, .misconfigured:
        return "\((state.lastError ?? "the last check failed").capitalizedFirst); \(next)"
    }
}
