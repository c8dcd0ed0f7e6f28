// What the user has decided for a while stays decided across reboots: a deferral, a cancellation, and the deadline of a forced
// version. In the boot of the decision, instants of CLOCK_BOOTTIME are exact. In later boots they follow the wall clock.

extension Work {
    /// After a boot a forced version waits at least this long, in seconds, so that the user sees its announcement.
    static let shortestGrace: Seconds = 60

    /// When the next boot must know how much time has passed, the agent counts the time while the wall clock is unknown.
    var countsTime: Bool { pause != nil || grace != nil || windowWait != nil }

    /// A wait of an earlier boot continues, by the wall clock as soon as that counts.
    var countsByClock: Bool { pause?.watch.resumed != nil || windowWait?.watch.resumed != nil }

    /// The end of the pause in this boot.
    func pauseEnd(_ context: Context, _ state: AgentState) -> BootInstant? {
        pause.map { context.now + $0.left(context.now, context.settledTime(state)) }
    }

    /// Sets the end of the pause in the step that waits for it.
    fileprivate mutating func moveStep(to end: BootInstant) {
        switch step {
        case .consent where askAgainAt.map({ abs($0 - end) >= 1 }) ?? true: askAgainAt = end
        case .later(let at, .cancelled) where abs(at - end) >= 1: step = .later(at: end, why: .cancelled)
        default: break
        }
    }
}

extension Machine {
    private static let day: Seconds = 86_400

    /// A new boot: what is left of the user's pause and of the grace period follows from the wall clock.
    mutating func resumePauses() {
        guard var work = state.work else { return }
        if case .later(_, .cancelled) = work.step, work.pause == nil {
            // An earlier version stored this cancellation.
            work.pause = Pause(now: now, length: Self.day)
        }
        work.pause?.watch.resume(at: now)
        work.windowWait?.watch.resume(at: now)
        if work.deadline != nil {
            if work.grace == nil { work.grace = Pause(now: now, length: policy.gracePeriod) }
            work.grace?.watch.resume(at: now)
            work.deadline = now + policy.gracePeriod
        }
        work.askAgainAt = nil
        state.work = work
        followClock()
    }

    /// The clock may have been set, or the server may have sent the time.
    mutating func followClock() {
        guard var work = state.work else { return }
        if let pause = work.pause, pause.watch.resumed != nil, let end = work.pauseEnd(context, state) {
            work.moveStep(to: end)
        }
        if let grace = work.grace, let resumed = grace.watch.resumed, let deadline = work.deadline, deadline > now {
            let earliest = resumed + min(Work.shortestGrace, policy.gracePeriod)
            let end = max(now + grace.left(now, context.knownTime(state)), earliest)
            if abs(deadline - end) >= 1 { work.deadline = end }
        }
        if work != state.work { state.work = work }
        noteMissedWindows()
    }

    /// Remembers for the next boot how much time has passed.
    mutating func noteTime() {
        guard var work = state.work else { return }
        switch work.step {
        case .ready where work.hasConsent: work.pause = nil
        case .installing, .rebootReady, .rebooting: work.pause = nil
        case .later(let at, .cancelled) where work.pause == nil:
            // An earlier version stored this cancellation in this boot.
            work.pause = Pause(now: now, length: max(0, at - now))
        case .downloading, .consent, .ready, .later: break
        }
        if let deadline = work.deadline {
            if work.grace == nil { work.grace = Pause(now: now, length: max(0, deadline - now)) }
        } else {
            work.grace = nil
        }
        startWindowWait(&work)
        // A version that waits for an idle device looks each minute: the flash memory would wear.
        let interval = work != before.work || state != before ? Stopwatch.resolution : Machine.countInterval
        if let watch = work.pause?.watch {
            work.pause?.watch.note(now, context.time(for: watch, state))
        }
        work.grace?.watch.note(now, context.knownTime(state))
        if let watch = work.windowWait?.watch {
            work.windowWait?.watch.note(now, context.time(for: watch, state), interval: interval)
        }
        if work != state.work { state.work = work }
    }
}

extension Work {
    /// The user continues with the version.
    mutating func endPause(_ now: BootInstant) {
        pause = nil
        if case .later(_, .cancelled) = step { step = .later(at: now, why: .cancelled) }
    }
}
