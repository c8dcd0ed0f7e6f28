extension Machine {
    /// The best time the box knows: the server's where its own proved wrong.
    var reportTime: WallTime {
        state.serverClock?.time(at: now, bootID: context.bootID) ?? context.wallClock
    }

    mutating func report(_ kind: Report.Kind) {
        state.reports.add(Report(kind: kind, time: reportTime))
    }

    mutating func sendIfDue() {
        guard state.reports.sending == nil, let entry = state.reports.first, state.reports.notBefore <= now else {
            return
        }
        state.reports.send(entry.id)
        effects.append(.send(id: entry.id, entry.report))
    }

    mutating func reported(_ id: Int, _ delivery: Delivery) {
        let reason: String
        var retryAfter: Seconds?
        switch delivery {
        case .delivered:
            state.reports.delivered(id)
            return
        case .refused(let misconfiguration):
            reason = misconfiguration.line
        case .trouble(let trouble):
            reason = trouble.line
            retryAfter = trouble.retryAfter
        }
        let tries = (state.reports.first?.tries ?? 0) + 1
        state.reports.notBefore =
            now + policy.schedule.backOffDelay(failures: tries, retryAfter: retryAfter, &chance)
        if let dropped = state.reports.failed(id) {
            log(.reportDropped(dropped.report, reason, tries: dropped.tries))
        }
    }
}
