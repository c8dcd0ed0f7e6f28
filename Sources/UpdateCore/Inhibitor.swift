/// Something that somebody holds back for a while, as logind uses the word.
public struct Inhibitor: Codable, Hashable, Sendable {
    public enum What: String, Codable, CaseIterable, Sendable { case download, install, reboot }

    public var what: Set<What>
    /// For people; bounded, without control characters.
    public var who: String
    public var why: String

    public init(what: Set<What>, who: String, why: String) {
        self.what = what
        self.who = who.forPeople(limit: 64)
        self.why = why.forPeople(limit: 200)
    }

    /// A colon-separated list: `download:install`. Nil where a word in it is unknown, or there is none.
    public static func what(_ text: String) -> Set<What>? {
        let words = text.split(separator: ":", omittingEmptySubsequences: false).map { What(rawValue: String($0)) }
        let known = words.compactMap { $0 }
        return known.isEmpty || known.count < words.count ? nil : Set(known)
    }

    public var line: String { why.isEmpty ? who : "\(who): \(why)" }
}

/// Why the next thing to be done about an offer is not done just now.
public enum Hold: Hashable, Sendable {
    /// Announced, and due at this moment.
    case grace(until: BootInstant)
    /// `until` is where patience ends, if it does.
    case inhibited(Inhibitor, until: BootInstant?)
    case window(opens: WallTime?, in: Seconds?)
    /// Windows are configured, and this box does not know what time it is.
    case clock
    /// The box must restart, and somebody is to say when.
    case restartConsent

    /// When it may have changed by time alone.
    func wakeUp(now: BootInstant) -> BootInstant? {
        switch self {
        case .grace(let until): until
        case .inhibited(_, let until): until
        case .window(_, let delay): delay.map { now + $0 }
        case .clock: now + 60
        case .restartConsent: nil
        }
    }

    func line(_ context: Context, _ state: AgentState) -> String {
        switch self {
        case .grace(let until): "\(context.when(until, state)) (forced)"
        case .inhibited(let inhibitor, _): "held back by \(inhibitor.line)"
        case .window(_, let delay):
            "in the next maintenance window" + (delay.map { ", \(context.when(context.now + $0, state))" } ?? "")
        case .clock: "in the next maintenance window; this box does not know the time yet"
        case .restartConsent: "once somebody agrees"
        }
    }
}

/// When the box may restart to finish an update.
public enum RebootPolicy: String, Codable, CaseIterable, Sendable {
    case immediate
    case window
    case ask
}

extension Machine {
    func hold(_ work: Work) -> Hold? { context.hold(work, state) }
}

extension Context {
    /// The best time the box knows, or nil where it knows none.
    func knownTime(_ state: AgentState) -> WallTime? {
        state.serverClock?.time(at: now, bootID: bootID) ?? (wallClock >= buildTime ? wallClock : nil)
    }

    /// What holds back the next thing to be done: the download, the installation or the restart.
    func hold(_ work: Work, _ state: AgentState) -> Hold? {
        if case .restartReady(_, let isRollback, let since) = work.step {
            return restartHold(work, isRollback, since, state)
        }
        return work.artifact == nil ? inhibited(.download, work, since: work.since) : installHold(work, state)
    }

    private func installHold(_ work: Work, _ state: AgentState) -> Hold? {
        if work.isForced {
            let deadline = work.deadline ?? now
            return now < deadline ? .grace(until: deadline) : inhibited(.install, work, since: deadline)
        }
        if let hold = inhibited(.install, work, since: nil) { return hold }
        return work.timing == .now ? nil : windowHold(state)
    }

    private func restartHold(_ work: Work, _ isRollback: Bool, _ since: BootInstant, _ state: AgentState) -> Hold? {
        // A box whose new version does not work is not kept waiting for a window.
        if isRollback || work.isForced { return inhibited(.reboot, work, since: since) }
        if let hold = inhibited(.reboot, work, since: nil) { return hold }
        switch policy.reboot {
        case .immediate: return nil
        case .window: return windowHold(state)
        case .ask: return work.mayRestart ? nil : .restartConsent
        }
    }

    /// - Parameter since: where patience is bounded, the moment it began.
    private func inhibited(_ what: Inhibitor.What, _ work: Work, since: BootInstant?) -> Hold? {
        guard let inhibitor = inhibitors.first(where: { $0.what.contains(what) }) else { return nil }
        guard let since, what != .download || work.isForced else { return .inhibited(inhibitor, until: nil) }
        let until = since + policy.inhibitLimit
        return now < until ? .inhibited(inhibitor, until: until) : nil
    }

    private func windowHold(_ state: AgentState) -> Hold? {
        guard !policy.windows.isEmpty else { return nil }
        guard let time = knownTime(state) else { return .clock }
        if policy.windows.isOpen(at: time, zone) { return nil }
        let opens = policy.windows.nextOpening(after: time, zone)
        return .window(opens: opens, in: opens.map { $0 - time })
    }
}
