/// One step of the agent: what it remembers afterwards, and what is to be done, in order.
/// An event that makes no sense in a state changes nothing and is logged.
public func reduce(_ state: AgentState, _ event: Event, _ context: Context) -> (state: AgentState, effects: [Effect]) {
    var machine = Machine(state: state, context: context)
    machine.handle(event)
    return (machine.state, machine.effects)
}

/// When the agent must be woken at the latest, or nil while it only waits for a worker.
public func nextWakeUp(_ state: AgentState, _ context: Context) -> BootInstant? {
    let now = context.now
    var moments: [BootInstant] = []
    if let work = state.work {
        switch work.step {
        case .later(let at, _): moments.append(at)
        case .consent: if let at = work.askAgainAt { moments.append(at) }
        case .ready, .restartReady:
            if let hold = context.hold(work, state) { hold.wakeUp(now: now).map { moments.append($0) } }
        case .downloading:
            if case .inhibited(_, let until?)? = context.hold(work, state) { moments.append(until) }
        case .installing, .restarting: break
        }
    }
    if !state.poll.isRunning, state.work?.isWaiting ?? true { moments.append(state.poll.next) }
    if state.poll.awaitsClock { moments.append(now + Machine.clockCheckInterval) }
    if let wake = state.reports.wakeUp { moments.append(wake) }
    return moments.min()
}

/// A step being taken. Its extensions hold a topic each: polling, fetching, installing, reporting.
struct Machine {
    static let clockCheckInterval: Seconds = 10

    var state: AgentState
    var effects: [Effect] = []
    let context: Context
    var chance: Chance

    init(state: AgentState, context: Context) {
        self.state = state
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
        case .asked(let report): asked(report)
        case .downloaded(let versionCode, let result): downloaded(versionCode, result.bounded)
        case .installed(let id, let result): installed(id, result.bounded)
        case .reported(let id, let delivery): reported(id, delivery)
        case .configurationChanged: configurationChanged()
        }
        takeUpWhatIsDue()
    }

    private mutating func start(found: Offer?) {
        state.poll.isRunning = false
        state.reports.forgetWorker()
        if state.bootID != context.bootID {
            // Instants of another boot mean nothing in this one.
            state.bootID = context.bootID
            state.serverClock = nil
            state.poll.next = now + firstDelay()
            state.poll.unansweredBoots = min((state.poll.unansweredBoots ?? 0) + 1, 1000)
            state.reports.putOff(to: state.poll.next)
            if var work = state.work {
                work.since = now
                work.askAgainAt = nil
                if work.deadline != nil { work.deadline = now + policy.gracePeriod }
                state.work = work
            }
            hasten()
        } else if state.poll.mood == .never {
            state.poll.next = now + firstDelay()
        }
        if let code = context.installed.versionCode {
            // Boxes that start together do not report together: it goes with the first poll, or is splayed by itself
            // where that is far off.
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
        case .installing(let id), .restartReady(let id, _, _), .restarting(let id):
            log(.resumed(work.offer, "its installation"))
            state.work?.step = .installing(id)
            effects.append(.resumeInstall(id))
        case .later(_, .noSpace), .later(_, .noKeys):
            // Restarting the agent is what an operator does after making room.
            hasten()
        case .consent:
            // Whoever was told before may have been restarted too.
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
        if case .misconfigured = state.poll.mood {
            state.poll.next = min(state.poll.next, now + chance.uniform(0, min(60, policy.schedule.splay)))
        }
    }

    /// What was put off is due now.
    mutating func hasten() {
        guard var work = state.work, case .later(_, let why) = work.step else { return }
        work.step = .later(at: now, why: why)
        state.work = work
    }

    /// What was held back begins as soon as nothing holds it, and a download stops when something does.
    private mutating func takeUpWhatIsHeld() {
        guard let work = state.work else { return }
        switch work.step {
        case .ready where hold(work) == nil: begin(work)
        case .downloading where hold(work) != nil:
            effects.append(.stopDownload)
            hold(work, as: .ready)
        case .restartReady(let id, _, _) where hold(work) == nil:
            state.work?.step = .restarting(id)
            log(.restarting(work.offer))
            effects.append(.restart(id))
        case .consent:
            if let at = work.askAgainAt, at <= now { announceConsent(work) }
        case .ready, .downloading, .restartReady, .installing, .restarting, .later: break
        }
    }

    private mutating func takeUpWhatIsDue() {
        if let work = state.work, work.isWaiting, let before = work.installedBefore,
            before != work.offer.versionCode, context.installed.versionCode == work.offer.versionCode
        {
            // Interrupted so late that it was taken for a failure, by a module that cannot go back.
            committed(work)
        } else if let work = state.work, work.isWaiting, let refusal = offerRefusal(of: work.offer) {
            // Meanwhile the box came to this version, or the operator's wishes changed.
            log(.offerDropped(work.offer, refusal))
            state.lastError = nil
            end(work, .dropped, "\(refusal)")
        }
        takeUpWhatIsHeld()
        if case .later(let at, let why)? = state.work?.step, at <= now, let work = state.work {
            if let id = why.installation {
                state.work?.step = .installing(id)
                effects.append(.resumeInstall(id))
            } else {
                begin(work)
            }
        }
        askIfDue()
        sendIfDue()
    }
}
