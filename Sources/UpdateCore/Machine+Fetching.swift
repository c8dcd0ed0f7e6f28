/// Why no local file can be installed in this state; nil if one can.
public func refusalOfFile(_ state: AgentState) -> CommandRefusal? {
    guard let work = state.work, !work.isWaiting else { return nil }
    return CommandRefusal("\(work.offer.title) is being worked on; give the file again later")
}

extension Machine {
    /// Begins the next step of an offer: download it, request consent, or install it.
    mutating func begin(_ work: Work) {
        var work = work
        announceDeadline(&work)
        if !work.hasConsent, work.artifact != nil || !policy.downloadBeforeConsent {
            work.step = .consent
            if let end = work.pauseEnd(context, state), end > now {
                work.askAgainAt = end
                state.work = work
                return
            }
            state.work = work
            log(.consentWanted(work.offer))
            announceConsent(work)
        } else if work.offer.isLocalFile, work.artifact == nil {
            state.note(Reason("the file of \(work.offer.title) is no longer there; give it again", .fileLost))
            end(work, .gone, Reason("the file is no longer there", .fileLost))
        } else if delay(work) != nil {
            delay(work, as: .ready)
        } else if let artifact = work.artifact {
            // Random, not counted: an agent that lost its state must not reuse the id of an earlier installation.
            let id = InstallID(chance.next() >> 11) + 1
            work.step = .installing(id)
            work.mayReboot = false
            work.rebootWait = nil
            work.isCancelled = nil
            work.isCancelSent = false
            work.installedBefore = context.installed.versionCode
            state.work = work
            log(.installing(work.offer))
            effects.append(.install(StagedInstallJob(id: id, offer: work.offer, artifact: artifact)))
        } else if policy.canVerify {
            work.step = .downloading
            state.work = work
            effects.append(.download(work.offer))
        } else {
            work.step = .later(at: now + 3600, why: .noKeys)
            state.work = work
            state.note(Reason(Work.RetryReason.noKeys.line, .noKeys))
            log(.noKeys(work.offer))
        }
    }

    mutating func delay(_ work: Work, as step: Work.Step) {
        var work = work
        work.step = step
        state.work = work
        if let delay = delay(work) { log(.delayed(work.offer, delay.line(context, state))) }
    }

    /// Announces a forced version after its download. The grace period begins now.
    private mutating func announceDeadline(_ work: inout Work) {
        guard work.isForced, work.artifact != nil, work.deadline == nil else { return }
        let deadline = now + policy.gracePeriod
        work.deadline = deadline
        effects.append(.announce(.installPending(work.offer, deadline: deadline)))
    }

    mutating func announceConsent(_ work: Work) {
        var work = work
        // Without a deferral left, consent is requested again and again.
        work.askAgainAt = work.deferrals >= policy.maximumDeferrals ? now + Work.reminder : nil
        work.pause = nil
        state.work = work
        effects.append(.announce(.consentWanted(work.offer)))
    }

    /// Counts a failure against the version, which is then tried again later or blocked.
    mutating func failed(_ work: Work, _ result: Attempt.Result, _ reason: Reason) {
        record(work, result, reason)
        state.countFailure(of: work.offer.versionCode, reason)
        state.note(Reason("the update to \(work.offer.title) failed: \(reason.text)", reason.code))
        let failures = state.failures(of: work.offer.versionCode)
        guard failures < policy.maximumAttempts else {
            end(work, nil, nil)
            log(.blocked(work.offer, reason, attempts: failures))
            return
        }
        let delay = policy.schedule.regularDelay(
            &chance, every: policy.retryDelay * Seconds(1 << min(failures - 1, 16)))
        var work = work
        work.started = reportTime
        work.deadline = nil
        work.step = .later(at: now + delay, why: .failed(reason.text))
        state.work = work
        log(.attemptFailed(work.offer, reason, attempt: failures, of: policy.maximumAttempts, retryIn: delay))
    }

    /// Ends the work on an offer.
    ///
    /// - Parameters:
    ///   - result: for the history; nil if the history has it already.
    ///   - reason: nil for a success.
    mutating func end(_ work: Work, _ result: Attempt.Result?, _ reason: Reason?) {
        if let result { record(work, result, reason) }
        state.work = nil
        effects.append(.cleanStaging(keep: nil))
        state.poll.next = now + policy.schedule.regularDelay(&chance)
    }

    /// A local file that has been verified. The user who requested its installation consents to it.
    mutating func fileOffered(_ offer: Offer, _ artifact: Artifact) {
        if let refusal = offerRefusal(of: offer) {
            log(.offerRefused(refusal))
            effects.append(.cleanStaging(keep: state.work?.offer.versionCode))
            return
        }
        if let work = state.work {
            guard work.isWaiting else {
                log(.ignored("the file of \(offer.title): \(work.offer.title) is being worked on"))
                return
            }
            record(work, .replaced, Reason("\(offer.title) took its place", .replaced))
        }
        log(.offered(offer))
        effects.append(.cleanStaging(keep: offer.versionCode))
        var work = Work(offer: offer, step: .downloading, hasConsent: true, started: reportTime, since: now)
        work.artifact = artifact
        work.timing = .now
        begin(work)
    }
}
