// The wait of an installation for a reboot. It ends with the next boot, a refusal and another try, or a cancellation: a command
// that requests the reboot may succeed although no reboot follows.

/// The wait of one installation, or of its rollback, for a reboot in this boot.
public struct RebootWait: Codable, Hashable, Sendable {
    public var isRollback: Bool
    /// When the installer first needed the reboot. ``Policy/inhibitLimit`` counts from here, also after a refusal.
    public var since: BootInstant
    /// When the device was last told to reboot.
    public var requested: BootInstant?

    public init(isRollback: Bool, since: BootInstant, requested: BootInstant? = nil) {
        self.isRollback = isRollback
        self.since = since
        self.requested = requested
    }
}

extension Work {
    /// A check may run, because nothing is downloaded or installed just now. While an installation waits for its reboot, a newer
    /// offer stays in the inbox.
    var mayCheck: Bool {
        switch step {
        case .consent, .ready, .rebootReady, .later: true
        case .downloading, .installing, .rebooting: false
        }
    }

    /// The installation that waits for its reboot, and can be rolled back instead.
    var cancellableInstallation: InstallID? {
        guard !isForced, !isBeingRolledBack else { return nil }
        return switch step {
        case .rebootReady(let id, isRollback: false, _), .rebooting(let id), .later(_, .rebootRefused(let id, _)): id
        case .downloading, .consent, .ready, .installing, .rebootReady, .later: nil
        }
    }

    var isBeingRolledBack: Bool { isCancelled == true || rebootWait?.isRollback == true }

    /// When a requested reboot counts as one that does not come.
    func rebootLimit(_ policy: Policy) -> BootInstant { (rebootWait?.requested ?? since) + policy.rebootTimeout }
}

extension AgentState {
    /// The reboot of an installation has been refused, or has not come, for a day or longer: the operator must act.
    public func isStuck(_ context: Context) -> Bool {
        guard let work, work.obstacles > 0, let wait = work.rebootWait else { return false }
        switch work.step {
        case .rebootReady, .rebooting, .later(_, .rebootRefused): break
        case .downloading, .consent, .ready, .installing, .later: return false
        }
        let byClock = work.obstaclesSince.flatMap { since in context.knownTime(self).map { $0 - since } }
        return max(byClock ?? 0, context.now - wait.since) >= 86_400
    }
}

extension Machine {
    /// The installation, or its rollback, needs a reboot.
    mutating func rebootNeeded(_ work: Work, _ id: InstallID, isRollback: Bool) {
        var work = work
        if work.isCancelled == true, !isRollback, work.isCancelSent {
            // The installer has received the cancellation.
            work.isCancelled = nil
            log(.notRolledBack(work.offer))
        } else if work.isCancelled == true, !isRollback {
            // The agent was restarted before the installer received the cancellation.
            work.isCancelSent = true
            work.step = .installing(id)
            state.work = work
            effects.append(.cancelInstall(id))
            return
        }
        let wait: RebootWait
        if let found = work.rebootWait, found.isRollback == isRollback {
            wait = found
        } else {
            wait = RebootWait(isRollback: isRollback, since: now)
            work.forgetObstacles()
        }
        work.rebootWait = wait
        work.step = .rebootReady(id, isRollback: isRollback, since: wait.since)
        state.work = work
        if let delay = delay(work) { log(.delayed(work.offer, "the reboot " + delay.line(context, state))) }
    }

    mutating func requestReboot(_ work: Work, _ id: InstallID) {
        rebootRequested(work, id)
        log(.rebooting(work.offer))
        effects.append(.reboot(id))
    }

    /// The time limit counts from here.
    mutating func rebootRequested(_ work: Work, _ id: InstallID) {
        var work = work
        var wait = work.rebootWait ?? RebootWait(isRollback: false, since: now)
        wait.requested = now
        work.rebootWait = wait
        work.step = .rebooting(id)
        state.work = work
    }

    mutating func rebootRefused(_ work: Work, _ id: InstallID, _ reason: String, _ code: ReasonCode = .rebootRefused) {
        let delay = policy.schedule.otherDelay(failures: work.obstacles + 1, &chance)
        postpone(work, by: delay, .rebootRefused(id, reason), code)
    }

    /// A command that returns without an error does not mean that a reboot follows.
    mutating func endRebootWait() {
        guard let work = state.work, case .rebooting(let id) = work.step, work.rebootLimit(policy) <= now else {
            return
        }
        rebootRefused(
            work, id,
            "no reboot came within \(describe(policy.rebootTimeout)) (install.rebootTimeout) after it was requested: "
                + "check install.rebootCommand, or reboot the device", .rebootMissing)
    }

    /// The operator hastens a reboot that does not come: the installer is asked again what it waits for.
    mutating func hastenReboot() {
        guard let work = state.work, case .rebooting(let id) = work.step else { return }
        resumeInstallation(id)
        log(.resumed(work.offer, "its reboot"))
    }

    /// Asks the installer what the installation waits for. It may not have received a cancellation.
    mutating func resumeInstallation(_ id: InstallID) {
        state.work?.step = .installing(id)
        state.work?.isCancelSent = false
        effects.append(.resumeInstall(id))
    }

    /// Rolls back an installation that waits for its reboot.
    mutating func cancelInstallation(_ work: Work, _ id: InstallID) {
        var work = work
        work.isCancelled = true
        work.isCancelSent = true
        work.step = .installing(id)
        state.work = work
        state.forgetError()
        log(.cancelling(work.offer))
        effects.append(.cancelInstall(id))
    }

    /// A cancelled installation has ended, whatever its result is: the version is not installed again before the user wants it.
    mutating func keepCancelled() {
        guard var work = state.work, work.isCancelled == true, work.isWaiting else { return }
        work.isCancelled = nil
        work.step = .ready
        state.work = work
        cancel()
    }

    /// The installation ended for a reason that is not the version's fault. Nothing is counted and nothing is reported.
    mutating func interrupted(_ work: Work, _ reason: Reason) {
        // An entry for each try would displace the others.
        if let last = state.history.last, last.versionCode == work.offer.versionCode, last.result == .interrupted {
            state.history.removeLast()
        }
        record(work, .interrupted, reason)
        let delay = policy.schedule.otherDelay(failures: work.obstacles + 1, &chance)
        guard work.isCancelled == true else { return postpone(work, by: delay, .interrupted(reason.text), reason.code) }
        var work = work
        work.step = .later(at: now + delay, why: .interrupted(reason.text))
        state.work = work
    }

    /// The staged file is gone, because the cache was emptied. It is downloaded again, at once the first time.
    mutating func artifactLost(_ work: Work, _ reason: String) {
        var work = work
        work.artifact = nil
        let losses = work.artifactLosses ?? 0
        work.artifactLosses = min(losses + 1, 1000)
        guard losses > 0 || work.isCancelled == true else {
            log(.artifactLost(work.offer, reason))
            return begin(work)
        }
        postpone(
            work, by: policy.schedule.otherDelay(failures: losses, &chance),
            .transientError(.file("the downloaded file is lost: \(reason)", code: .fileLost)))
    }

    /// A newer offer waited in the inbox for the end of an installation: the next check takes it from there.
    mutating func releaseHeldOffer() {
        guard state.poll.isOfferHeld == true, state.work?.isWaiting ?? true else { return }
        state.poll.isOfferHeld = nil
        state.poll.next = now
    }
}
