// A device that is switched off at night never meets its maintenance window. A version that has waited for too long is installed
// in another way, which the operator chooses.

/// What happens to a version that has missed its maintenance windows for ``Policy/windowLimit``.
public enum MissedWindows: String, Codable, CaseIterable, Sendable {
    /// It is installed as soon as the device has not been used for ``Policy/idleTime``.
    case idle
    /// It is installed right after the next boot, before the user interface starts.
    case boot
    /// Consent is requested.
    case ask
    /// It waits for a window.
    case wait
}

/// How long a version has waited for a maintenance window.
public struct WindowWait: Codable, Hashable, Sendable {
    var watch: Stopwatch
    /// It has waited for too long, and missed a window. This stays, also if the next boot does not know the time, until a clock
    /// that is right shows that it was not so.
    var isOverdue = false
    /// Consent is requested because of that, although the version needs none.
    var asks = false

    init(now: BootInstant) { watch = Stopwatch(now: now) }

    private enum CodingKeys: String, CodingKey { case watch, isOverdue, asks }

    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        watch = try fields.required(.watch)
        isOverdue = fields.value(.isOverdue, or: false)
        asks = fields.value(.asks, or: false)
    }
}

extension Context {
    /// An installation right after a boot begins within this many seconds.
    static let bootTime: Seconds = 300

    var isSoonAfterBoot: Bool { now - bootBegan < Self.bootTime }

    /// When the next window opens, if that ends the delay of a version that has missed others.
    func nextOpening(_ work: Work, _ state: AgentState) -> BootInstant? {
        guard isOverdue(work), let time = knownTime(state) else { return nil }
        return policy.windows.nextOpening(after: time, zone).map { now + ($0 - time) }
    }

    /// No maintenance window could be used for too long.
    func isOverdue(_ work: Work) -> Bool {
        policy.windowLimit > 0 && !policy.windows.isEmpty && work.windowWait?.isOverdue == true
    }

    /// What delays a step that needs a maintenance window.
    func windowDelay(_ work: Work, _ state: AgentState) -> Delay? {
        guard !policy.windows.isEmpty else { return nil }
        let time = knownTime(state)
        if let time, policy.windows.isOpen(at: time, zone) { return nil }
        if isOverdue(work) {
            switch policy.missedWindows {
            case .idle: return idleDelay(work)
            case .boot: return state.installsAtBoot ? nil : .boot
            case .ask: if case .rebootReady = work.step { return work.mayReboot ? nil : .rebootConsent }
            case .wait: break
            }
        }
        guard let time else { return .clock }
        let opens = policy.windows.nextOpening(after: time, zone)
        return .window(opens: opens, in: opens.map { $0 - time })
    }

    private func idleDelay(_ work: Work) -> Delay? {
        guard let activity else { return .idle(until: now + 1, reason: nil) }
        let next = now + min(60, max(1, policy.idleTime))
        guard activity.isFresh(now), let since = activity.idleSince else {
            return .idle(until: next, reason: activity.reason)
        }
        // A user who has just switched the device on uses it.
        let end = max(since, work.since) + policy.idleTime
        return now >= end ? nil : .idle(until: min(next, max(end, now + 1)), reason: activity.reason)
    }

    /// Says that maintenance windows are being missed; nil if they are not.
    func missedWindowsText(_ work: Work, _ state: AgentState) -> String? {
        guard isOverdue(work), let wait = work.windowWait else { return nil }
        return "no maintenance window could be used for \(describe(wait.watch.elapsed(now, settledTime(state))))"
    }
}

extension WindowWait {
    /// The seconds until it may be overdue; nil if it is, or if the passing of time alone does not change that.
    func untilOverdue(_ state: AgentState, _ context: Context) -> Seconds? {
        let left = context.policy.windowLimit - watch.elapsed(context.now, context.settledTime(state))
        return isOverdue || context.policy.windowLimit <= 0 || left <= 0 ? nil : left
    }
}

/// Whether the agent must observe who uses the device before it handles the next ``Event/tick``.
public func needsActivity(_ state: AgentState, _ context: Context) -> Bool {
    guard let work = state.work else { return false }
    switch work.step {
    case .ready, .rebootReady:
        guard case .idle? = context.delay(work, state) else { return false }
        return true
    case .downloading, .consent, .installing, .rebooting, .later: return false
    }
}

extension Machine {
    /// Begins to count when a version has to wait for a window.
    func startWindowWait(_ work: inout Work) {
        if work.windowWait == nil, needsWindow(work), !isWindowOpen { work.windowWait = WindowWait(now: now) }
    }

    /// Notices that windows are being missed.
    mutating func noteMissedWindows() {
        guard var work = state.work, let wait = work.windowWait, policy.windowLimit > 0, !policy.windows.isEmpty,
            let since = wait.watch.since, let time = context.time(for: wait.watch, state)
        else { return }
        let isLong = wait.watch.elapsed(now, time) >= policy.windowLimit
        if wait.isOverdue {
            // The clock was in the future when this was noticed.
            guard !isLong, wait.watch.resumed != nil, time >= since else { return }
            state.work?.windowWait?.isOverdue = false
            return
        }
        guard isLong, policy.windows.hasPassed(since: since, until: time, context.zone) else { return }
        work.windowWait?.isOverdue = true
        state.work = work
        if let text = context.missedWindowsText(work, state) { log(.delayed(work.offer, text)) }
    }

    private var isWindowOpen: Bool {
        context.knownTime(state).map { policy.windows.isOpen(at: $0, context.zone) } ?? false
    }

    /// Nothing but a maintenance window, or an inhibitor, is missing.
    private func needsWindow(_ work: Work) -> Bool {
        guard !policy.windows.isEmpty, !work.isForced else { return false }
        switch work.step {
        case .ready: return work.artifact != nil && work.timing != .now
        case .rebootReady(_, let isRollback, _): return !isRollback && policy.reboot == .window
        case .downloading, .consent, .installing, .rebooting, .later: return false
        }
    }

    /// Requests consent to a version that has missed its windows, if the operator wants that. Withdraws the request if not, and in
    /// a window, which needs no consent, unless the user has deferred the version.
    mutating func askIfOverdue() {
        guard var work = state.work else { return }
        let isAsked = context.isOverdue(work) && policy.missedWindows == .ask
        if isAsked, work.step == .ready, work.artifact != nil, needsWindow(work), !isWindowOpen {
            work.hasConsent = false
            work.windowWait?.asks = true
            begin(work)
        } else if work.step == .consent, work.windowWait?.asks == true {
            guard !work.offer.upgradeType.needsConsent || work.timing == .window else {
                // It is offered as a prompt version now.
                state.work?.windowWait?.asks = false
                return
            }
            let isDeferred = work.pauseEnd(context, state).map { $0 > now } ?? false
            guard !isAsked || isWindowOpen && !isDeferred else { return }
            work.hasConsent = true
            work.windowWait?.asks = false
            (work.askAgainAt, work.pause) = (nil, nil)
            begin(work)
        }
    }

    /// Right after a boot, before the user interface starts.
    mutating func noteBoot() {
        guard let work = state.work, work.step == .ready, work.artifact != nil, context.isSoonAfterBoot else { return }
        state.installsAtBoot = policy.missedWindows == .boot && context.isOverdue(work)
    }

    /// An installation that began right after the boot may also reboot the device. A reboot that is delayed does not hold the
    /// user interface back, which may have to end the delay.
    mutating func endBoot() {
        switch state.work?.step {
        case .rebootReady?: if state.work.flatMap(delay) != nil { state.installsAtBoot = false }
        case .installing?, .rebooting?: break
        case .downloading?, .consent?, .ready?, .later?, nil: state.installsAtBoot = false
        }
    }
}
