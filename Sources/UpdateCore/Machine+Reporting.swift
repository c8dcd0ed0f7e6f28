extension Machine {
    /// The best time the box knows: the server's where its own proved wrong.
    var reportTime: WallTime {
        state.serverClock?.time(at: now, bootID: context.bootID) ?? context.wallClock
    }

    /// A release, and a window that opens, are for all boxes at once: what they have to tell is spread.
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
        let reason: String
        let delay: Seconds
        let tries = (state.reports.entries.first { $0.id == id }?.tries ?? 0) + 1
        switch delivery {
        case .delivered:
            state.reports.delivered(id)
            return
        case .refused(let misconfiguration):
            reason = misconfiguration.line
            delay = policy.schedule.backOffDelay(failures: tries, retryAfter: nil, &chance)
        case .trouble(let trouble):
            reason = trouble.line
            delay = policy.schedule.delay(after: trouble, failures: tries, &chance)
        }
        state.reports.notBefore = now + delay
        if let dropped = state.reports.failed(id) {
            log(.reportDropped(dropped.report, reason, tries: dropped.tries))
        }
    }
}
