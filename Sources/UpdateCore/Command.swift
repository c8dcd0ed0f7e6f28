/// A command of the user or the operator.
public enum Command: Codable, Hashable, Sendable {
    /// Check for updates now.
    case check
    /// Install this version. If its installation waits for a reboot, reboot.
    case accept(versionCode: Int, Timing)
    /// Request consent again after this time, which is in ``deferralRange``.
    case postpone(versionCode: Int, Seconds)
    /// Never install this version.
    case reject(versionCode: Int)
    /// Stop the download, or an installation that has not begun.
    case cancel
    /// Try a version again that failed, is blocked or was rejected. This resets its failure counts.
    case retry(versionCode: Int)

    /// One minute to seven days, in seconds.
    public static let deferralRange: ClosedRange<Seconds> = 60...(7 * 86_400)
}

/// When an accepted version is installed.
public enum Timing: String, Codable, CaseIterable, Sendable {
    case now
    /// In the next maintenance window.
    case window
}

/// Why the agent does not carry out a command: one line for the caller.
public struct CommandRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    /// The argument is wrong in every state.
    public let isInvalidArgument: Bool

    init(_ description: String, isInvalidArgument: Bool = false) {
        self.description = description
        self.isInvalidArgument = isInvalidArgument
    }
}

/// Why a command would change nothing in this state; nil if it would change something.
public func refusal(of command: Command, _ state: AgentState, _ context: Context) -> CommandRefusal? {
    let work = state.work
    switch command {
    case .check:
        return work?.mayCheck ?? true
            ? nil : CommandRefusal("\(work?.offer.title ?? "an offer") is being worked on: upgradelinkctl status")
    case .accept(let code, let timing):
        if let refusal = mismatch(code, work) { return refusal }
        if timing == .window, context.policy.windows.isEmpty {
            return CommandRefusal(
                "no maintenance window is configured: set install.windows, or accept \(work?.offer.title ?? "it") for now, "
                    + "which installs it at once")
        }
        if case .rebootReady? = work?.step { return nil }
        guard let work, work.hasConsent, !work.changes(timing, state, context) else { return nil }
        return CommandRefusal("\(work.offer.title) is accepted already")
    case .postpone(let code, let seconds):
        guard Command.deferralRange.contains(seconds) else {
            return CommandRefusal("a deferral takes from 1 min to 7 d", isInvalidArgument: true)
        }
        if let refusal = mismatch(code, work) { return refusal }
        guard let work, work.step == .consent else { return CommandRefusal("no consent is requested just now") }
        return work.deferrals < context.policy.maximumDeferrals
            ? nil : CommandRefusal("\(work.offer.title) was deferred \(work.deferrals) times, which is the limit")
    case .reject(let code):
        if let refusal = mismatch(code, work) { return refusal }
        guard let work, work.offer.upgradeType.needsConsent else {
            return CommandRefusal(
                work?.isUpToUser == true
                    ? "\(work?.offer.title ?? "it") is silent, so it cannot be rejected: accept it, or defer it"
                    : "\(work?.offer.title ?? "it") needs no consent, so it cannot be rejected")
        }
        return work.isCancellable ? nil : CommandRefusal("\(work.offer.title) is being installed")
    case .cancel:
        guard let work else { return CommandRefusal("nothing is under way") }
        if work.isForced { return CommandRefusal("\(work.offer.title) is forced, and cannot be cancelled") }
        if work.cancellableInstallation != nil { return nil }
        if work.isBeingRolledBack { return CommandRefusal("\(work.offer.title) is being rolled back") }
        switch work.step {
        case .downloading, .ready: return nil
        case .consent, .later: return CommandRefusal("nothing is under way")
        case .installing, .rebootReady, .rebooting: return CommandRefusal("\(work.offer.title) is being installed")
        }
    case .retry(let code):
        if state.failures(of: code) > 0 || state.rejected.contains(code) { return nil }
        switch work?.step {
        case .later? where work?.offer.versionCode == code, .rebooting? where work?.offer.versionCode == code:
            return nil
        default: break
        }
        return CommandRefusal("version \(code) has neither failed nor been rejected")
    }
}

extension Work {
    /// Whether an acceptance changes what happens to a version that is accepted, or that needs no consent.
    fileprivate func changes(_ timing: Timing, _ state: AgentState, _ context: Context) -> Bool {
        if case .later(_, .cancelled) = step { return true }
        guard isCancellable, !isForced else { return false }
        return switch timing {
        case .now: self.timing != .now && context.windowDelay(self, state) != nil
        case .window: self.timing == .now
        }
    }
}

/// The caller names the version, so that consent never applies to an offer that the user has not seen.
private func mismatch(_ code: Int, _ work: Work?) -> CommandRefusal? {
    guard let work else { return CommandRefusal("no version is offered") }
    return work.offer.versionCode == code
        ? nil : CommandRefusal("version \(code) is not the one that is offered, which is \(work.offer.title)")
}

extension Machine {
    mutating func command(_ command: Command) {
        if let refusal = refusal(of: command, state, context) { return log(.ignored("\(command): \(refusal)")) }
        switch command {
        case .check: state.poll.next = now
        case .accept(_, let timing): accept(timing)
        case .postpone(_, let delay): postpone(by: delay)
        case .reject(let code): reject(code)
        case .cancel: cancel()
        case .retry(let code): retry(code)
        }
    }

    private mutating func accept(_ timing: Timing) {
        guard var work = state.work else { return }
        if case .rebootReady = work.step {
            work.mayReboot = true
            if timing == .window || work.timing == .window { work.timing = timing }
            if timing == .window { work.windowWait = nil }
            state.work = work
            return
        }
        work.hasConsent = true
        work.timing = timing
        work.askAgainAt = nil
        work.isCancelled = nil
        work.pause = nil
        if timing == .window { work.windowWait = nil }
        log(.consentGiven(work.offer))
        switch work.step {
        case .consent, .later(_, .cancelled): begin(work)
        case .downloading, .ready, .installing, .rebootReady, .rebooting, .later: state.work = work
        }
    }

    private mutating func postpone(by delay: Seconds) {
        guard var work = state.work else { return }
        work.deferrals += 1
        work.askAgainAt = now + delay
        work.pause = Pause(now: now, length: delay)
        state.work = work
        log(.deferred(work.offer, by: delay, left: policy.maximumDeferrals - work.deferrals))
    }

    private mutating func reject(_ versionCode: Int) {
        guard let work = state.work else { return }
        state.rejected.append(versionCode)
        if state.rejected.count > Trial.remembered { state.rejected.removeFirst() }
        log(.rejected(work.offer))
        if work.step == .downloading { effects.append(.stopDownload) }
        end(work, .rejected, Reason("", .rejected))
    }

    mutating func cancel() {
        guard var work = state.work else { return }
        if let id = work.cancellableInstallation { return cancelInstallation(work, id) }
        if work.step == .downloading { effects.append(.stopDownload) }
        log(.cancelled(work.offer))
        work.windowWait = nil
        if work.offer.upgradeType.needsConsent {
            work.hasConsent = false
            work.askAgainAt = now + Work.reminder
            work.pause = Pause(now: now, length: Work.reminder)
        }
        if work.offer.upgradeType.needsConsent, work.artifact != nil {
            work.step = .consent
        } else {
            let delay = policy.schedule.regularDelay(&chance, every: 86_400)
            work.pause = Pause(now: now, length: delay)
            work.step = .later(at: now + delay, why: .cancelled)
        }
        state.work = work
    }

    private mutating func retry(_ versionCode: Int) {
        state.trials.removeAll { $0.versionCode == versionCode }
        state.rejected.removeAll { $0 == versionCode }
        effects.append(.forgetAttempts(versionCode: versionCode))
        if state.work?.offer.versionCode == versionCode {
            state.work?.forgetObstacles()
            state.work?.received = 0
            let now = now
            if case .later(_, .cancelled)? = state.work?.step { state.work?.endPause(now) }
            hasten()
            hastenReboot()
        } else if state.work == nil {
            state.poll.next = now
        }
    }
}
