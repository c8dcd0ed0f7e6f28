/// Handles one event. Returns the new state, and the effects that the agent must carry out one after the other.
/// An event that does not fit the state changes nothing and is logged.
public func reduce(_ state: AgentState, _ event: Event, _ context: Context) -> (state: AgentState, effects: [Effect]) {
    var machine = Machine(state: state, context: context)
    machine.handle(event)
    return (machine.state, machine.effects)
}

/// The latest moment of the next ``Event/tick``; nil while the agent only waits for a worker.
public func nextWakeUp(_ state: AgentState, _ context: Context) -> BootInstant? {
    let now = context.now
    var moments: [BootInstant] = []
    if let work = state.work {
        switch work.step {
        case .later(let at, _): moments.append(at)
        case .consent:
            if let at = work.askAgainAt { moments.append(at) }
            if work.windowWait?.asks == true { context.nextOpening(work, state).map { moments.append($0) } }
        case .ready, .rebootReady:
            context.nextOpening(work, state).map { moments.append($0) }
            if let delay = context.delay(work, state) { delay.wakeUp(now: now).map { moments.append($0) } }
            if let left = work.windowWait?.untilOverdue(state, context) { moments.append(now + left) }
        case .downloading:
            if case .inhibited(_, let until?)? = context.delay(work, state) { moments.append(until) }
        case .rebooting: moments.append(work.rebootLimit(context.policy))
        case .installing: break
        }
    }
    if state.work?.countsTime == true, context.knownTime(state) == nil { moments.append(now + Machine.countInterval) }
    if state.work?.countsByClock == true, !context.isClockSettledByTime {
        moments.append(context.bootBegan + Context.clockSettling)
    }
    if !state.poll.isRunning, state.work?.mayCheck ?? true { moments.append(state.poll.next) }
    if state.poll.awaitsClock, state.poll.clockOffset == nil { moments.append(now + Machine.clockCheckInterval) }
    if let wake = state.reports.wakeUp { moments.append(wake) }
    return moments.min()
}

/// The handling of one event. Each extension has one topic: polling, fetching, installing, reporting.
struct Machine {
    /// How often the wall clock is read while ``Poll/awaitsClock`` is set.
    static let clockCheckInterval: Seconds = 10

    /// How often the time that passes is stored while the wall clock is unknown.
    static let countInterval: Seconds = 3600

    var state: AgentState
    var effects: [Effect] = []
    /// Before the event.
    let before: AgentState
    let context: Context
    var chance: Chance

    init(state: AgentState, context: Context) {
        self.state = state
        before = state
        self.context = context
        chance = Chance(seed: context.seed)
    }

    var now: BootInstant { context.now }
    var policy: Policy { context.policy }

    mutating func log(_ notice: Notice) { effects.append(.log(notice)) }

    mutating func handle(_ event: Event) {
        switch event {
        case .started(let found): start(found: found)
        case .tick: break
        case .command(let command): self.command(command)
        case .fileOffered(let offer, let artifact): fileOffered(offer, artifact)
        case .checked(let report): checked(report)
        case .downloaded(let versionCode, let result, let traffic): downloaded(versionCode, result.bounded, traffic)
        case .installed(let id, let result): installed(id, result.bounded)
        case .reported(let id, let delivery): reported(id, delivery)
        case .configurationChanged: configurationChanged()
        }
        followClock()
        askIfOverdue()
        takeUpWhatIsDue()
        endBoot()
        noteTime()
    }

    private mutating func start(found: Offer?) {
        state.poll.isRunning = false
        state.reports.forgetWorker()
        if state.bootID != context.bootID {
            // Instants of another boot mean nothing in this one.
            state.bootID = context.bootID
            state.serverClock = nil
            if state.poll.clockOffset != nil {
                state.poll.awaitsClock = false
                state.poll.clockOffset = nil
            }
            let first = now + firstDelay()
            state.poll.next = max(first, now + waitAfterBoot)
            state.poll.bootsWithoutResponse = min((state.poll.bootsWithoutResponse ?? 0) + 1, 1000)
            state.reports.putOff(to: first)
            if var work = state.work {
                work.since = now
                work.rebootWait = nil
                state.work = work
            }
            resumePauses()
            noteBoot()
            hasten()
        } else if state.poll.outcome == .never, state.poll.unheard == 0 {
            state.poll.next = now + firstDelay()
        }
        if let code = context.installed.versionCode {
            // Devices that boot together must not report together. The report is sent with the first check, or after a random
            // delay of its own if that check is far off.
            let isNear = state.poll.next - now <= policy.schedule.splay
            let due = isNear ? state.poll.next : now + firstDelay()
            state.reports.add(Report(kind: .appStart(versionCode: code), time: reportTime), due: due)
        }
        resumeWork()
        if let found { takeUp(found) } else { effects.append(.cleanStaging(keep: state.work?.offer.versionCode)) }
    }

    private mutating func firstDelay() -> Seconds {
        policy.schedule.firstDelay(isEager: state.poll.isEager, &chance)
    }

    private mutating func resumeWork() {
        guard let work = state.work else { return }
        switch work.step {
        case .downloading:
            log(.resumed(work.offer, "its download"))
            effects.append(.download(work.offer))
        case .installing(let id), .rebootReady(let id, _, _), .rebooting(let id):
            log(.resumed(work.offer, "its installation"))
            resumeInstallation(id)
        case .later(_, .noSpace), .later(_, .noKeys):
            // The operator may have restarted the agent because there is free disk space or a key now.
            hasten()
        case .consent:
            // The user interface that was notified before may have been restarted too.
            if work.askAgainAt == nil { announceConsent(work) }
        case .ready:
            if let deadline = work.deadline {
                effects.append(.announce(.installPending(work.offer, deadline: deadline)))
            }
        case .later:
            break
        }
    }

    private mutating func configurationChanged() {
        hasten()
        if case .misconfigured = state.poll.outcome {
            state.poll.next = min(state.poll.next, now + chance.uniform(0, min(60, policy.schedule.splay)))
        }
    }

    /// Ends the wait for a retry; only the user's own command ends a cancellation.
    mutating func hasten() {
        guard var work = state.work, case .later(_, let why) = work.step, why != .cancelled else { return }
        work.step = .later(at: now, why: why)
        state.work = work
    }

    /// Begins a step whose delay has ended, and stops a download that an inhibitor delays now.
    private mutating func takeUpWhatIsDelayed() {
        guard let work = state.work else { return }
        switch work.step {
        case .ready where delay(work) == nil: begin(work)
        case .downloading where delay(work) != nil:
            effects.append(.stopDownload)
            delay(work, as: .ready)
        case .rebootReady(let id, _, _) where delay(work) == nil:
            requestReboot(work, id)
        case .consent:
            if let at = work.askAgainAt, at <= now { announceConsent(work) }
        case .ready, .downloading, .rebootReady, .installing, .rebooting, .later: break
        }
    }

    private mutating func takeUpWhatIsDue() {
        if let work = state.work, work.isWaiting, work.hasBecomeInstalled(context.installed) {
            // The installation was interrupted late and counted as failed, but its module has no rollback, so the version is
            // installed.
            committed(work)
        } else if let work = state.work, work.isWaiting, let refusal = offerRefusal(of: work.offer) {
            // The installed version or the configuration changed while the offer waited.
            log(.offerDropped(work.offer, refusal))
            state.forgetError()
            end(work, .dropped, refusal.reason)
        }
        takeUpWhatIsDelayed()
        endRebootWait()
        if case .later(let at, let why)? = state.work?.step, at <= now, let work = state.work {
            if let id = why.installation {
                resumeInstallation(id)
            } else {
                begin(work)
            }
        }
        releaseHeldOffer()
        checkIfDue()
        sendIfDue()
    }
}
