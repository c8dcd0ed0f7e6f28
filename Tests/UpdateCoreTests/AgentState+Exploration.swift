@testable import UpdateCore

// States that differ only in when they were reached are one state for the exploration.

extension AgentState {
    /// Calls the body with each stored moment; the body may change it.
    private mutating func eachMoment(_ body: (inout BootInstant) -> Void) {
        body(&poll.next)
        body(&reports.notBefore)
        guard var work else { return }
        if var at = work.askAgainAt {
            body(&at)
            work.askAgainAt = at
        }
        if var deadline = work.deadline {
            body(&deadline)
            work.deadline = deadline
        }
        body(&work.since)
        if var wait = work.rebootWait {
            body(&wait.since)
            if var requested = wait.requested {
                body(&requested)
                wait.requested = requested
            }
            work.rebootWait = wait
        }
        work.pause?.watch.eachInstant(body)
        work.grace?.watch.eachInstant(body)
        switch work.step {
        case .later(var at, let why):
            body(&at)
            work.step = .later(at: at, why: why)
        case .rebootReady(let id, let isRollback, var since):
            body(&since)
            work.step = .rebootReady(id, isRollback: isRollback, since: since)
        case .downloading, .consent, .ready, .installing, .rebooting: break
        }
        self.work = work
    }

    mutating func shift(by seconds: Seconds) { eachMoment { $0 = BootInstant($0.seconds - seconds) } }

    /// Makes states equal that lead to the same decisions. Only the order of moments counts, and only the values with which
    /// counters are compared.
    mutating func normalize(_ now: BootInstant) {
        var moments: Set<Double> = []
        eachMoment { if $0 > now { moments.insert($0.seconds) } }
        let sorted = moments.sorted()
        eachMoment { moment in
            let rank = sorted.firstIndex(of: moment.seconds).map { $0 + 1 } ?? 0
            moment = BootInstant(now.seconds + Double(rank) * 10_000)
        }
        history = []
        forgetError()
        poll.lastResponse = nil
        poll.bootsWithoutResponse = nil
        reports = ReportQueue()
        reports.notBefore = now
        switch poll.outcome {
        case .failing: poll.outcome = .failing(failures: 1)
        case .misconfigured: poll.outcome = .misconfigured(failures: 1)
        case .never, .succeeded: break
        }
        poll.unheard = min(poll.unheard, 1)
        guard var work else { return }
        work.obstacles = min(work.obstacles, 1)
        work.obstaclesSince = nil
        work.hasReportedRefusal = false
        work.artifactLosses = work.artifactLosses.map { min($0, 1) }
        (work.received, work.fileSize) = (0, 0)
        work.started = WallTime(unixSeconds: 0)
        // The pauses end when their steps do, as in the boot in which they began.
        var end = work.askAgainAt
        if case .later(let at, .cancelled) = work.step { end = at }
        work.pause = work.pause.map { _ in Pause(now: now, length: max(0, (end ?? now) - now)) }
        work.grace = work.deadline.map { Pause(now: now, length: max(0, $0 - now)) }
        self.work = work
    }
}
