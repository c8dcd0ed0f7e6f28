extension Machine {
    /// The server's time if the device's own clock is wrong, else the device's time.
    var reportTime: WallTime {
        state.serverClock?.time(at: now, bootID: context.bootID) ?? context.wallClock
    }

    /// Queues a report after a random delay, because a release or a maintenance window starts on many devices at the same time.
    mutating func report(_ kind: Report.Kind) {
        let splay = min(policy.schedule.splay, PollSchedule.reportSplay)
        state.reports.add(Report(kind: kind, time: reportTime), due: now + chance.uniform(0, splay))
    }

    mutating func sendIfDue() {
        guard let entry = state.reports.next(now) else { return }
        state.reports.send(entry.id)
        effects.append(.send(id: entry.id, entry.report))
    }

    mutating func reported(_ id: Int, _ delivery: Delivery) {
        let reason: Reason
        let delay: Seconds
        let tries = (state.reports.entries.first { $0.id == id }?.tries ?? 0) + 1
        switch delivery {
        case .delivered:
            state.reports.delivered(id)
            return
        case .refused(let misconfiguration):
            reason = Reason(misconfiguration.line, misconfiguration.reasonCode)
            delay = policy.schedule.backOffDelay(failures: tries, retryAfter: nil, &chance)
        case .transientError(let transientError):
            reason = transientError.reason
            delay = policy.schedule.delay(after: transientError, failures: tries, &chance)
        }
        state.reports.notBefore = now + delay
        if let dropped = state.reports.failed(id) {
            log(.reportDropped(dropped.report, reason, tries: dropped.tries))
        }
    }
}
