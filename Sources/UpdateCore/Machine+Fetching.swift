extension Machine {
    /// Takes the next step an offer allows: download it, ask for consent, or install it.
    mutating func begin(_ work: Work) {
        var work = work
        if !work.hasConsent, work.artifact != nil || !policy.downloadBeforeConsent {
            work.step = .consent
            state.work = work
            log(.consentWanted(work.offer))
        } else if let artifact = work.artifact {
            // By chance, not by counting: an agent that lost its state must not meet an old installation's id.
            let id = InstallID(chance.next() >> 11) + 1
            work.step = .installing(id)
            work.installedBefore = context.installed.versionCode
            state.work = work
            log(.installing(work.offer))
            effects.append(.install(InstallOrder(id: id, offer: work.offer, artifact: artifact)))
        } else if policy.canVerify {
            work.step = .downloading
            state.work = work
            effects.append(.download(work.offer))
        } else {
            work.step = .later(at: now + 3600, why: .noKeys)
            state.work = work
            state.lastError = Work.Delay.noKeys.line
            log(.noKeys(work.offer))
        }
    }

    mutating func downloaded(_ versionCode: Int, _ result: DownloadResult) {
        guard var work = state.work, work.step == .downloading, work.offer.versionCode == versionCode else {
            log(.ignored("the end of a download of version \(versionCode) that nobody waits for"))
            return
        }
        switch result {
        case .verified(let artifact):
            work.artifact = artifact
            work.obstacles = 0
            state.lastError = nil
            log(.verified(work.offer, bytes: artifact.size))
            report(.download(running: runningCode, version: versionCode, code: Report.Code.success))
            begin(work)
        case .gone(let reason):
            end(work)
            state.lastError = "\(work.offer.title) cannot be had: \(reason)"
            log(.gone(work.offer, reason))
            report(.download(running: runningCode, version: versionCode, code: Report.Code.gone))
        case .refused(let reason):
            report(.download(running: runningCode, version: versionCode, code: Report.Code.refused))
            work.artifact = nil
            failed(work, reason)
        case .noSpace(let reason):
            work.obstacles += 1
            let backOff = policy.schedule.backOffDelay(failures: work.obstacles, retryAfter: nil, &chance)
            postpone(work, by: max(backOff, min(600, policy.schedule.backOffCap)), .noSpace(reason))
        case .trouble(let trouble):
            work.obstacles += 1
            let delay = policy.schedule.backOffDelay(
                failures: work.obstacles, retryAfter: trouble.retryAfter, &chance)
            postpone(work, by: delay, .trouble(trouble))
        }
    }

    mutating func postpone(_ work: Work, by delay: Seconds, _ why: Work.Delay) {
        var work = work
        work.step = .later(at: now + delay, why: why)
        state.work = work
        state.lastError = why.line
        log(.postponed(work.offer, why, retryIn: delay))
    }

    /// Counts a failure against the version: it is tried again later, or given up.
    mutating func failed(_ work: Work, _ reason: String) {
        state.countFailure(of: work.offer.versionCode, reason)
        state.lastError = "\(work.offer.title): \(reason)"
        let failures = state.failures(of: work.offer.versionCode)
        guard failures < policy.maximumAttempts else {
            end(work)
            log(.givenUp(work.offer, reason, attempts: failures))
            return
        }
        let delay = policy.schedule.regularDelay(
            &chance, every: policy.retryDelay * Seconds(1 << min(failures - 1, 16)))
        var work = work
        work.step = .later(at: now + delay, why: .failed(reason))
        state.work = work
        log(.attemptFailed(work.offer, reason, attempt: failures, of: policy.maximumAttempts, retryIn: delay))
    }

    /// The offer is done with, one way or the other.
    mutating func end(_ work: Work) {
        state.work = nil
        effects.append(.cleanStaging(keep: nil))
        state.poll.next = now + policy.schedule.regularDelay(&chance)
    }

    mutating func consent(_ versionCode: Int, _ consent: Consent) {
        guard var work = state.work, !work.hasConsent, work.offer.versionCode == versionCode else {
            log(.ignored("a consent to version \(versionCode), which does not wait for one"))
            return
        }
        switch consent {
        case .accept:
            work.hasConsent = true
            log(.consentGiven(work.offer))
            if work.step == .consent { begin(work) } else { state.work = work }
        case .reject:
            state.rejected.append(versionCode)
            if state.rejected.count > Trial.remembered { state.rejected.removeFirst() }
            log(.rejected(work.offer))
            if work.step == .downloading { effects.append(.stopDownload) }
            end(work)
        }
    }

    mutating func retry(_ versionCode: Int) {
        guard state.failures(of: versionCode) > 0 || state.rejected.contains(versionCode) else {
            log(.ignored("a retry of version \(versionCode), which has not failed"))
            return
        }
        state.trials.removeAll { $0.versionCode == versionCode }
        state.rejected.removeAll { $0 == versionCode }
        if state.work?.offer.versionCode == versionCode {
            hasten()
        } else if state.work == nil {
            state.poll.next = now
        }
    }
}
