/// Why an offer is not taken up in this state; nil if it is.
public func refusal(of offer: Offer, _ state: AgentState, _ context: Context) -> OfferRefusal? {
    Machine(state: state, context: context).offerRefusal(of: offer)
}

extension Machine {
    mutating func checkIfDue() {
        if state.poll.awaitsClock, context.wallClock >= context.buildTime {
            state.poll.awaitsClock = false
            state.poll.next = min(state.poll.next, now + chance.uniform(0, min(30, policy.schedule.splay)))
            log(.clockSet)
        }
        guard !state.poll.isRunning, state.poll.next <= now, state.work?.isWaiting ?? true else { return }
        guard case .known(let versionCode, _) = context.installed else {
            if case .unknown(let reason) = context.installed {
                noteMisconfiguration("the installed version is unknown: \(reason)")
            }
            return
        }
        state.poll.isRunning = true
        state.poll.unheard = min(state.poll.unheard, 30) + 1
        // This delay applies if the agent stops before it receives a result.
        state.poll.next = now + policy.schedule.backOffDelay(failures: state.poll.unheard, retryAfter: nil, &chance)
        effects.append(
            .check(
                CheckRequest(
                    urlKey: policy.urlKey, versionCode: versionCode,
                    appointVersionCode: policy.appointVersionCode, devModelKey: policy.devModelKey,
                    devKey: policy.devKey)))
    }

    mutating func checked(_ report: CheckReport) {
        state.poll.isRunning = false
        state.poll.unheard = 0
        if let clock = report.serverClock {
            if state.serverClock == nil { log(.clockWrong(server: clock.time(at: now, bootID: context.bootID))) }
            state.serverClock = clock
        }
        switch report.response.bounded {
        case .offer(let offer):
            pollSucceeded()
            takeUp(offer)
        case .refusedOffer(let refusal):
            pollSucceeded()
            log(.offerRefused(refusal))
        case .latest:
            pollSucceeded()
            if state.work == nil {
                state.lastError = nil
                log(.upToDate(context.installed))
            }
        case .misconfigured(let misconfiguration):
            noteMisconfiguration(misconfiguration.line)
        case .transientError(let transientError):
            noteTransientError(transientError)
        }
    }

    private mutating func pollSucceeded() {
        state.poll.outcome = .succeeded
        state.poll.lastResponse = reportTime
        state.poll.bootsWithoutResponse = 0
        state.poll.awaitsClock = false
        let interval = state.work == nil ? policy.schedule.interval : waitingInterval
        state.poll.next = now + policy.schedule.regularDelay(&chance, every: interval)
    }

    /// While an offer waits, the agent checks about once a day at most.
    private var waitingInterval: Seconds { max(PollSchedule.waitingInterval, policy.schedule.interval) }

    private mutating func noteMisconfiguration(_ line: String) {
        var failures = 1
        if case .misconfigured(let before) = state.poll.outcome { failures = before + 1 }
        state.poll.outcome = .misconfigured(failures: failures)
        let delay = policy.schedule.misconfiguredDelay(failures: failures, &chance)
        state.poll.next = now + delay
        state.lastError = line
        log(.misconfigured(line, retryIn: delay))
    }

    private mutating func noteTransientError(_ transientError: TransientError) {
        var failures = 1
        if case .failing(let before) = state.poll.outcome { failures = before + 1 }
        state.poll.outcome = .failing(failures: failures)
        var delay = policy.schedule.delay(after: transientError, failures: failures, &chance)
        if state.work != nil { delay = max(delay, policy.schedule.regularDelay(&chance, every: waitingInterval)) }
        state.poll.next = now + delay
        // A server that cannot serve a check cannot serve reports either.
        state.reports.notBefore = max(state.reports.notBefore, state.poll.next)
        if case .tls = transientError, context.wallClock < context.buildTime {
            state.poll.awaitsClock = true
            state.lastError = "the clock of this device is not set (\(transientError.line))"
            log(.clockExplainsTLS(transientError.line))
        } else {
            state.lastError = transientError.line
            log(.failing(transientError, retryIn: delay))
        }
    }

    /// An offer arrived, from a check or from the inbox of an earlier run.
    mutating func takeUp(_ offer: Offer) {
        if let refusal = offerRefusal(of: offer) {
            log(.offerRefused(refusal))
            effects.append(.emptyInbox(upTo: offer.versionCode))
            return
        }
        if let work = state.work {
            let isNewer = offer.versionCode > work.offer.versionCode
            guard work.isWaiting || !isNewer else {
                // The user accepted the other offer while the check ran. The new offer stays in the inbox and replaces the next
                // check, because its roll-out quota on the server is consumed.
                log(.ignored("an offer of \(offer.title), for now: \(work.offer.title) is being worked on"))
                return
            }
            guard isNewer else {
                if work.isWaiting, offer.versionCode == work.offer.versionCode {
                    refresh(work, with: offer)
                } else {
                    log(.ignored("an offer of \(offer.title): \(work.offer.title) is being worked on"))
                }
                effects.append(.emptyInbox(upTo: offer.versionCode))
                return
            }
            log(.offerReplaced(work.offer, by: offer))
            record(work, .replaced, "\(offer.title) took its place")
        }
        log(.offered(offer))
        if case .unknown = offer.upgradeType { log(.unknownUpgradeType(offer)) }
        effects += [.emptyInbox(upTo: offer.versionCode), .cleanStaging(keep: offer.versionCode)]
        begin(
            Work(
                offer: offer, step: .downloading, hasConsent: !offer.upgradeType.needsConsent, started: reportTime,
                since: now))
        state.poll.next = now + policy.schedule.regularDelay(&chance, every: waitingInterval)
    }

    func offerRefusal(of offer: Offer) -> OfferRefusal? {
        let code = offer.versionCode
        if offer.urlKey != policy.urlKey { return .foreignUrlKey(found: offer.urlKey, expected: policy.urlKey) }
        if let installed = context.installed.versionCode, code <= installed {
            if code == installed, state.lastCommitted == code { return .alreadyInstalled(code) }
            if policy.appointVersionCode != code { return .notNewer(offered: code, installed: installed) }
        }
        if state.rejected.contains(code) { return .rejected(versionCode: code) }
        let failures = state.failures(of: code)
        return failures >= policy.maximumAttempts ? .blocked(versionCode: code, attempts: failures) : nil
    }

    /// The same version was offered again: its URL, text or upgradeType may have changed.
    private mutating func refresh(_ work: Work, with offer: Offer) {
        guard offer != work.offer else { return }
        log(.offerRefreshed(offer))
        var work = work
        // A file from another URL must be downloaded and verified again.
        if offer.urlPath != work.offer.urlPath { work.artifact = nil }
        if offer.upgradeType != .forced { work.deadline = nil }
        work.offer = offer
        work.hasConsent = work.hasConsent || !offer.upgradeType.needsConsent
        begin(work)
    }
}
