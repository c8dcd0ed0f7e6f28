/// What lasts and needs the operator: one line each, with the remedy. Empty if all is well.
public func warnings(_ state: AgentState, _ context: Context) -> [String] {
    (state.work.map { windowWarnings($0, state, context) } ?? []).map { $0.sanitized(limit: 400) }
}

private func windowWarnings(_ work: Work, _ state: AgentState, _ context: Context) -> [String] {
    guard let text = context.missedWindowsText(work, state) else { return [] }
    var lines = [
        "\(work.offer.title) waits, because \(text): is the device off or in use then? Change install.windows, or what "
            + "install.missedWindows (\"\(context.policy.missedWindows.rawValue)\") says"
    ]
    if context.policy.missedWindows == .idle, let user = context.activity?.silentUser, needsActivity(state, context) {
        lines.append(
            "the session of \(user) never reports whether it is idle, so the device counts as in use: let the user "
                + "interface call SetIdleHint of its session in logind, or change install.missedWindows")
    }
    return lines
}
