/// A program's request to delay updates for a while, as logind's inhibitors delay a shutdown.
public struct Inhibitor: Codable, Hashable, Sendable {
    public enum What: String, Codable, CaseIterable, Sendable { case download, install, reboot }

    public var what: Set<What>
    /// Shown to the user: at most 64 characters, no control characters.
    public var who: String
    /// Shown to the user: at most 200 characters, no control characters.
    public var why: String

    public init(what: Set<What>, who: String, why: String) {
        self.what = what
        self.who = who.sanitized(limit: 64)
        self.why = why.sanitized(limit: 200)
    }

    private enum CodingKeys: String, CodingKey { case what, who, why }

    /// Reads an inhibitor with the limits of the other initialiser.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            what: try fields.decode(Set<What>.self, forKey: .what), who: try fields.decode(String.self, forKey: .who),
            why: try fields.decode(String.self, forKey: .why))
    }

    /// Parses a colon-separated list such as `download:install`. Nil if a word is unknown, or if there is none.
    public static func what(_ text: String) -> Set<What>? {
        let words = text.split(separator: ":", omittingEmptySubsequences: false).map { What(rawValue: String($0)) }
        let known = words.compactMap { $0 }
        return known.isEmpty || known.count < words.count ? nil : Set(known)
    }

    public var line: String { why.isEmpty ? who : "\(who): \(why)" }
}

/// Why the next step of an offer is delayed.
public enum Delay: Hashable, Sendable {
    /// A forced version has been announced; its installation begins at this moment.
    case grace(until: BootInstant)
    /// `until` is the end of ``Policy/inhibitLimit``; nil if the limit does not apply.
    case inhibited(Inhibitor, until: BootInstant?)
    /// No maintenance window is open. `in` counts from now; nil if no window opens again.
    case window(opens: WallTime?, in: Seconds?)
    /// Windows are configured, but the device does not know the time.
    case clock
    /// The device must reboot, and the user has not consented yet.
    case rebootConsent
    /// Maintenance windows are being missed, and the device may be in use. `until` is the next observation.
    case idle(until: BootInstant, reason: String?)
    /// Maintenance windows are being missed: the next step follows a boot.
    case boot

    /// When the passing of time may end the delay; nil if only another event can end it.
    func wakeUp(now: BootInstant) -> BootInstant? {
        switch self {
        case .grace(let until): until
        case .inhibited(_, let until): until
        case .window(_, let delay): delay.map { now + $0 }
        case .clock: now + 60
        case .idle(let until, _): until
        case .rebootConsent, .boot: nil
        }
    }

    func line(_ context: Context, _ state: AgentState) -> String {
        switch self {
        case .grace(let until): "\(context.when(until, state)) (forced)"
        case .inhibited(let inhibitor, _): "delayed by \(inhibitor.line)"
        case .window(_, let delay):
            "in the next maintenance window" + (delay.map { ", \(context.when(context.now + $0, state))" } ?? "")
        case .clock: "in the next maintenance window; the time is not known yet"
        case .rebootConsent: "after the user's consent"
        case .idle(_, let reason): "as soon as the device is not in use" + (reason.map { " (\($0))" } ?? "")
        case .boot: "right after the next boot"
        }
    }
}

/// When the device may reboot to finish an update.
public enum RebootPolicy: String, Codable, CaseIterable, Sendable {
    case immediate
    case window
    case ask
}

extension Machine {
    func delay(_ work: Work) -> Delay? { context.delay(work, state) }
}

extension Context {
    /// The server's time, else the device's own; nil if the device's clock is earlier than ``buildTime``.
    func knownTime(_ state: AgentState) -> WallTime? {
        state.serverClock?.time(at: now, bootID: bootID) ?? (wallClock >= buildTime ? wallClock : nil)
    }

    /// A clock that is wrong at the boot is set by NTP, or found by the server, within this many seconds, or not at all.
    static let clockSettling: Seconds = 600

    /// The wall clock need not be right at the boot, before it is set.
    var isClockSettledByTime: Bool { now - bootBegan >= Self.clockSettling }

    /// The time, for what an earlier boot began; nil as long as the clock may still be set in this boot. A response of the server
    /// means that the clock is right, because requests are signed with the time, or says what is right.
    func settledTime(_ state: AgentState) -> WallTime? {
        if let time = state.serverClock?.time(at: now, bootID: bootID) { return time }
        return isClockSettledByTime || state.poll.bootsWithoutResponse == 0 ? knownTime(state) : nil
    }

    /// The time to compare with the start of this stopwatch.
    func time(for watch: Stopwatch, _ state: AgentState) -> WallTime? {
        watch.resumed == nil ? knownTime(state) : settledTime(state)
    }

    /// What delays the next step: the download, the installation or the reboot.
    func delay(_ work: Work, _ state: AgentState) -> Delay? {
        if case .rebootReady(_, let isRollback, let since) = work.step {
            return rebootDelay(work, isRollback, since, state)
        }
        return work.artifact == nil ? inhibited(.download, work, since: work.since) : installDelay(work, state)
    }

    private func installDelay(_ work: Work, _ state: AgentState) -> Delay? {
        if work.isForced {
            let deadline = work.deadline ?? now
            return now < deadline ? .grace(until: deadline) : inhibited(.install, work, since: deadline)
        }
        if let delay = inhibited(.install, work, since: nil) { return delay }
        return work.timing == .now ? nil : windowDelay(work, state)
    }

    private func rebootDelay(_ work: Work, _ isRollback: Bool, _ since: BootInstant, _ state: AgentState) -> Delay? {
        // A rollback does not wait for a window, because the new version does not work.
        if isRollback || work.isForced { return inhibited(.reboot, work, since: since) }
        if let delay = inhibited(.reboot, work, since: nil) { return delay }
        switch policy.reboot {
        case .immediate: return nil
        case .window: return windowDelay(work, state)
        case .ask:
            guard work.mayReboot else { return .rebootConsent }
            return work.timing == .window ? windowDelay(work, state) : nil
        }
    }

    /// - Parameter since: the moment from which ``Policy/inhibitLimit`` counts; nil if the limit does not apply. For a download
    ///   it applies only to a forced version.
    private func inhibited(_ what: Inhibitor.What, _ work: Work, since: BootInstant?) -> Delay? {
        guard let inhibitor = inhibitors.first(where: { $0.what.contains(what) }) else { return nil }
        guard let since, what != .download || work.isForced else { return .inhibited(inhibitor, until: nil) }
        let until = since + policy.inhibitLimit
        return now < until ? .inhibited(inhibitor, until: until) : nil
    }
}
