/// Why an offer is not taken up in this state; nil if it is.
public func refusal(of offer: Offer, _ state: AgentState, _ context: Context) -> OfferRefusal? {
    Machine(state: state, context: context).offerRefusal(of: offer)
}

extension Machine {
    mutating func checkIfDue() {
        if state.poll.awaitsClock, clockWasSet {
            state.poll.awaitsClock = false
            state.poll.clockOffset = nil
            log(.clockSet)
            hasten()
            if state.work == nil || state.poll.failures > 0 {
                state.poll.next = min(state.poll.next, now + chance.uniform(0, min(30, policy.schedule.splay)))
            }
        }
        guard !state.poll.isRunning, state.poll.next <= now, state.work?.mayCheck ?? true else { return }
        guard case .known(let versionCode, _) = context.installed else {
            if case .unknown(let reason) = context.installed {
                noteMisconfiguration(Reason("the installed version is unknown: \(reason)", .versionUnknown))
            }
            return
        }
        state.poll.isRunning = true
        state.poll.unheard = min(state.poll.unheard, 30) + 1
        // This delay applies if the agent stops before it receives a result.
        state.poll.next =
            now + atLeastWaiting(policy.schedule.backOffDelay(failures: state.poll.unheard, retryAfter: nil, &chance))
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
            refuse(refusal)
        case .latest:
            pollSucceeded()
            if state.work != nil {
                endIfGone()
            } else {
                state.forgetError()
                log(.upToDate(context.installed))
            }
        case .misconfigured(let misconfiguration):
            noteMisconfiguration(
                Reason(misconfiguration.line, misconfiguration.reasonCode), isFromAPI: misconfiguration.isFromAPI)
        case .transientError(let transientError):
            noteTransientError(transientError, report)
        }
    }

    /// Every granted response consumes the server's roll-out quota, so an offer that makes no sense is not requested again before a
    /// day has passed.
    private mutating func refuse(_ refusal: OfferRefusal) {
        log(.offerRefused(refusal))
        guard refusal.isPublishersFault else { return }
        state.poll.next = now + policy.schedule.regularDelay(&chance, every: waitingInterval)
        state.note(refusal.reason)
    }

    private mutating func pollSucceeded() {
        state.poll.outcome = .succeeded
        state.poll.lastResponse = reportTime
        state.poll.bootsWithoutResponse = 0
        state.poll.awaitsClock = false
        state.poll.clockOffset = nil
        let interval = state.work == nil ? policy.schedule.interval : waitingInterval
        state.poll.next = now + policy.schedule.regularDelay(&chance, every: interval)
    }

    /// While an offer waits, the agent checks about once a day at most.
    private var waitingInterval: Seconds { max(PollSchedule.waitingInterval, policy.schedule.interval) }

    /// The delay; while an offer waits, at least ``waitingInterval``.
    private mutating func atLeastWaiting(_ delay: Seconds) -> Seconds {
        state.work == nil ? delay : max(delay, policy.schedule.regularDelay(&chance, every: waitingInterval))
    }

    /// While an offer or its installation waits, a reboot does not bring the next check forward. The end of an installation sets
    /// the next check itself.
    var waitAfterBoot: Seconds {
        guard state.work != nil, let last = state.poll.lastResponse,
            let time = context.knownTime(state), time >= last
        else { return 0 }
        return max(0, waitingInterval - (time - last))
    }

    /// The wall clock has jumped since ``awaitClock()``, or it no longer shows a time before this agent was built.
    private var clockWasSet: Bool {
        guard context.wallClock >= context.buildTime else { return false }
        guard let offset = state.poll.clockOffset else { return true }
        return abs(context.wallClock.unixSeconds - now.seconds - offset) > 60
    }

    /// After an error that a wrong clock can explain: continue as soon as the clock is set.
    mutating func awaitClock() {
        state.poll.awaitsClock = true
        let isSet = context.wallClock >= context.buildTime
        state.poll.clockOffset = isSet ? context.wallClock.unixSeconds - now.seconds : nil
    }

    /// - Parameter isFromAPI: false if a gateway, a filter or a captive portal may have responded: then the first checks follow
    ///   the back-off, as long as that is shorter.
    private mutating func noteMisconfiguration(_ reason: Reason, isFromAPI: Bool = true) {
        var failures = 1
        if case .misconfigured(let before) = state.poll.outcome { failures = before + 1 }
        state.poll.outcome = .misconfigured(failures: failures)
        var delay = policy.schedule.misconfiguredDelay(failures: failures, &chance)
        if !isFromAPI {
            delay = min(delay, policy.schedule.backOffDelay(failures: failures, retryAfter: nil, &chance))
        }
        delay = atLeastWaiting(delay)
        state.poll.next = now + delay
        state.note(reason)
        log(.misconfigured(reason, retryIn: delay))
    }

    private mutating func noteTransientError(_ transientError: TransientError, _ report: CheckReport) {
        var failures = 1
        if case .failing(let before) = state.poll.outcome { failures = before + 1 }
        state.poll.outcome = .failing(failures: failures)
        let delay = atLeastWaiting(policy.schedule.delay(after: transientError, failures: failures, &chance))
        state.poll.next = now + delay
        // A server that cannot serve a check cannot serve reports either.
        state.reports.notBefore = max(state.reports.notBefore, state.poll.next)
        guard case .tls = transientError, let explanation = clockExplanation(report) else {
            state.note(transientError.reason)
            log(.failing(transientError, retryIn: delay))
            return
        }
        awaitClock()
        state.note(Reason("\(explanation) (\(transientError.line))", .clockWrong))
        log(.clockExplainsTLS("\(explanation): \(transientError.line)"))
    }

    /// How the clock explains that a certificate was refused; nil if it does not.
    private func clockExplanation(_ report: CheckReport) -> String? {
        let shown = context.date(context.wallClock)
        if context.wallClock < context.buildTime { return "the clock of this device is not set, it shows \(shown)" }
        guard report.isOutOfDate else { return nil }
        guard let serverTime = report.serverTime, abs(serverTime - context.wallClock) > 3600 else {
            return "the clock of this device shows \(shown): if that is right, the server's certificate must be renewed"
        }
        return
            "the clock of this device is wrong, it shows \(shown), and the server's shows \(context.date(serverTime))"
    }

    /// An offer arrived, from a check or from the inbox of an earlier run.
    mutating func takeUp(_ offer: Offer) {
        if let refusal = offerRefusal(of: offer) {
            refuse(refusal)
            effects.append(.emptyInbox(upTo: offer.versionCode))
            return
        }
        if let work = state.work {
            // The server has withdrawn a version whose file it no longer has.
            let isWithdrawn = work.goneSince != nil && offer.versionCode != work.offer.versionCode
            let isNewer = offer.versionCode > work.offer.versionCode || isWithdrawn
            guard work.isWaiting || !isNewer else {
                // The user accepted the other offer while the check ran, or its installation waits for a reboot. The new offer
                // stays in the inbox and replaces the next check, because its roll-out quota on the server is consumed.
                state.poll.isOfferHeld = true
                log(.ignored("an offer of \(offer.title), for now: \(work.offer.title) is being worked on"))
                return
            }
            guard isNewer else {
                let canRefresh = work.isWaiting || work.step == .downloading
                if canRefresh, offer.versionCode == work.offer.versionCode {
                    refresh(work, with: offer)
                } else {
                    log(.ignored("an offer of \(offer.title): \(work.offer.title) is being worked on"))
                }
                effects.append(.emptyInbox(upTo: offer.versionCode))
                return
            }
            log(.offerReplaced(work.offer, by: offer))
            record(work, .replaced, Reason("\(offer.title) took its place", .replaced))
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
            // The pinned version, too, for an agent that has lost its state: the installer would refuse it.
            if code == installed, state.lastCommitted == code || policy.appointVersionCode == code {
                return .alreadyInstalled(code)
            }
            if policy.appointVersionCode != code { return .notNewer(offered: code, installed: installed) }
        }
        // The installer would refuse it.
        if let pinned = policy.appointVersionCode, code > pinned { return .abovePin(offered: code, pinned: pinned) }
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
        if offer.urlPath != work.offer.urlPath {
            work.artifact = nil
            work.forgetObstacles()
        }
        if offer.upgradeType == .forced { work.endPause(now) } else { work.deadline = nil }
        let isSameAddress = offer.urlPath == work.offer.urlPath
        // It needed no consent before: the user has consented only by choosing a time.
        if offer.upgradeType.needsConsent, !work.offer.upgradeType.needsConsent, work.timing == nil {
            work.hasConsent = false
        }
        work.offer = offer
        let isAsked = work.windowWait?.asks == true && offer.upgradeType != .forced
        work.hasConsent = work.hasConsent || !offer.upgradeType.needsConsent && !isAsked
        if case .later(_, .cancelled) = work.step, work.pause != nil { return state.work = work }
        guard work.step == .downloading else { return begin(work) }
        // A check may end while a download runs that began after it.
        state.work = work
        if !isSameAddress { effects += [.stopDownload, .download(offer)] }
    }
}
