import UpdateCore

/// Decides which step follows which. The states and conditions are those of Mender's "Update modules v3 protocol". This
/// project adds the version check and the health check before the commit.
extension InstallRecord {
    /// Characters of a reason. A module, or a file's name, may make it longer.
    static let reasonLimit = 1000
    static let maximumRollbackReboots = 3
    /// A rollback or cleanup step that is interrupted more often than this has failed: the step itself may crash the device.
    static let maximumInterruptions = 10
    /// A health check that is interrupted more often than this has failed. Power cuts rarely interrupt every check, but a
    /// version that crashes the device does.
    static let maximumHealthInterruptions = 3
    /// Stops on request of one installation that are not counted as interruptions. A version that shuts the device down looks like
    /// a user who switches it off.
    static let maximumStops = 10
    /// Seconds of CLOCK_BOOTTIME for which inhibitors of logind may delay the reboot of a silent version or of one that was
    /// accepted: an inhibitor that was forgotten must not delay it for ever.
    static let maximumRebootDelay: Seconds = 3 * 86_400

    mutating func go(to next: InstallStep) {
        step = next
        interruptions = 0
        rebootRequestedSince = nil
        rebootWasTried = nil
        wasStopped = nil
        wasEnded = nil
    }

    var awaitsReboot: Bool { step == .reboot || step == .rebootIntoRollback }

    /// Whether inhibitors still delay the reboot.
    ///
    /// - Parameter limit: seconds, for a rollback and for a forced version.
    func mayBeDelayed(at now: BootInstant, by limit: Seconds) -> Bool {
        let isUrgent = step == .rebootIntoRollback || job.offer.upgradeType == .forced
        let limit = isUrgent ? limit : Self.maximumRebootDelay
        return rebootRequestedSince.map { (0..<limit).contains(now.seconds - $0) } ?? (limit > 0)
    }

    /// Whether the reboot of a rollback is forced, because no request has led to it for this time: the version that runs is not to
    /// stay, and it may be what prevents the reboot.
    func mustBeForced(at now: BootInstant, after limit: Seconds) -> Bool {
        (step == .rebootIntoRollback || step == .module(.rollbackReboot)) && rebootWasTried == true
            && now.seconds - (rebootRequestedSince ?? now.seconds) >= limit
    }

    /// Goes to the step that follows the current one after this outcome.
    mutating func advance(_ outcome: StepOutcome) {
        // A rollback is not postponed: it has failed, or continues.
        if case .postponed(let reason) = outcome, failure != nil {
            return advance(.failed(reason, code: .moduleBusy))
        }
        switch (step, outcome) {
        case (.prepare, .succeeded): go(to: .module(.download))
        case (.prepare, .verified(let minimum)):
            minVersionCode = minimum
            go(to: .module(.download))
        case (.prepare, .failed(let reason, let code)):
            result = .refused(reason.sanitized(limit: Self.reasonLimit), code: code ?? step.failureCode)
            go(to: .done)
        case (.prepare, .noSpace(let reason)):
            result = .noSpace(reason.sanitized(limit: Self.reasonLimit))
            go(to: .done)

        case (.module(.download), .succeeded): go(to: .module(.install))
        case (.module(.download), .postponed(let reason)):
            isExcused = true
            note(reason, .moduleBusy)
            go(to: .module(.cleanup))
        case (.module(.download), .failed(let reason, let code)):
            note(reason, code)
            go(to: .module(.cleanup))

        case (.module(.install), .succeeded): go(to: .askNeedsReboot)
        case (.askNeedsReboot, .needsReboot(let need)):
            needsReboot = need
            switch need {
            case .no: go(to: .restartUnits)
            case .yes:
                hasRebooted = true
                go(to: .module(.reboot))
            case .automatic: go(to: .reboot)
            }
        // A module that does not reboot the device (``UpdateModule/restartsPeripheral``).
        case (.module(.reboot), .succeeded): go(to: .module(.verifyReboot))
        case (.restartUnits, .succeeded): go(to: .checkVersion)
        case (.module(.verifyReboot), .succeeded): go(to: .checkVersion)
        case (.checkVersion, .succeeded): go(to: .checkHealth)
        case (.checkHealth, .succeeded): go(to: .module(.commit))
        case (.module(.commit), .succeeded): go(to: .module(.cleanup))

        case (.askSupportsRollback, .supportsRollback(true)):
            returnsTo = nil
            go(to: .module(.rollback))
        case (.askSupportsRollback, _) where returnsTo != nil:
            let next = returnsTo ?? .module(.failure)
            if next != .module(.failure) { (failure, failureCode, isExcused) = (nil, nil, nil) }
            returnsTo = nil
            go(to: next)
        case (.askSupportsRollback, _):
            isBroken = true
            go(to: .module(.failure))
        case (.module(.rollback), .succeeded):
            if needsReboot == nil { go(to: .askNeedsRebootForRollback) } else { afterRollback() }
        case (.askNeedsRebootForRollback, .needsReboot(let need)):
            needsReboot = need
            afterRollback()
        case (.askNeedsRebootForRollback, .failed):
            needsReboot = .no
            afterRollback()
        case (.module(.rollback), .failed):
            isBroken = true
            go(to: .module(.failure))
        case (.module(.rollbackReboot), _):
            go(to: .module(.verifyRollbackReboot))
        case (.restartUnitsForRollback, .failed(let reason, _)):
            // The previous version is installed; the reason names what does not run.
            failure = "\(failure ?? ""); after the rollback: \(reason)".sanitized(limit: Self.reasonLimit)
            go(to: .module(.failure))
        case (.restartUnitsForRollback, _): go(to: .module(.failure))
        case (.module(.verifyRollbackReboot), .succeeded): go(to: .module(.failure))
        case (.module(.verifyRollbackReboot), .failed):
            if rollbackReboots < Self.maximumRollbackReboots {
                afterRollback()
            } else {
                isBroken = true
                go(to: .module(.failure))
            }

        case (.module(.failure), _): go(to: .module(.cleanup))
        case (.module(.cleanup), _): finish()

        case (_, .postponed(let reason)):
            isExcused = true
            // A module that could not begin has changed nothing.
            if step == .module(.install) { returnsTo = .module(.failure) }
            fail(reason, .moduleBusy)
        case (_, .failed(let reason, let code)): fail(reason, code)
        case (_, .noSpace(let reason)): fail(reason, .diskFull)
        // These end the request, not the step.
        case (_, .awaitsReboot), (_, .rebooting), (_, .rebootRefused), (_, .stopped), (_, .agentStopped): break

        case (_, .succeeded), (_, .verified), (_, .needsReboot), (_, .supportsRollback):
            fail("the step \(step) cannot end in \(outcome)")
        }
    }

    /// Starts the rollback, because a step failed after the module had begun to change the device.
    ///
    /// - Parameter code: nil for that of the step.
    private mutating func fail(_ reason: String, _ code: ReasonCode? = nil) {
        if failure == nil { note(reason, code) }
        go(to: .askSupportsRollback)
    }

    private mutating func note(_ reason: String, _ code: ReasonCode?) {
        failure = reason.sanitized(limit: Self.reasonLimit)
        failureCode = code ?? step.failureCode
    }

    /// Starts the rollback of an installation that waits for its reboot, because the user cancelled it.
    ///
    /// - Returns: false if the installation is not in that state.
    mutating func cancel() -> Bool {
        guard step == .reboot || step == .module(.reboot), failure == nil, result == nil else { return false }
        isExcused = true
        returnsTo = step
        fail("it was cancelled", .cancelled)
        return true
    }

    private mutating func afterRollback() {
        switch needsReboot {
        // What did not fail, and has not rebooted the device, needs no reboot back.
        case .yes where isExcused == true && !hasRebooted: go(to: .restartUnitsForRollback)
        case .yes:
            rollbackReboots += 1
            go(to: .module(.rollbackReboot))
        case .automatic where hasRebooted:
            rollbackReboots += 1
            go(to: .rebootIntoRollback)
        case .automatic, .no, nil:
            go(to: .restartUnitsForRollback)
        }
    }

    private mutating func finish() {
        if let failure {
            result =
                if isBroken {
                    .failed(failure, code: failureCode)
                } else if isExcused == true {
                    .interrupted(failure, code: failureCode)
                } else {
                    .rolledBack(failure, code: failureCode)
                }
            if isExcused == true, !isBroken {
                attempts.uncountAttempt(at: job.offer.versionCode, reboots: countedReboots ?? 0)
            }
        } else {
            result = .committed
        }
        go(to: .done)
    }

    /// The installer stops before the step, or ends it in the middle: that is not counted.
    mutating func stop(inTheMiddle: Bool) {
        stops = min((stops ?? 0) + 1, Self.maximumStops + 1)
        guard stops ?? 0 <= Self.maximumStops else { return }
        wasStopped = true
        wasEnded = inTheMiddle ? true : nil
    }

    /// Continues with a step that ``stop(inTheMiddle:)`` ended. Most steps can be repeated. `Download` and `ArtifactInstall` begin
    /// anew with a new file tree, because the module may have changed a part.
    private mutating func resumeEnded() {
        let reason = "the installer was told to stop during \(step.name)"
        switch step {
        case .module(.download):
            isExcused = true
            note(reason, .stopped)
            go(to: .module(.cleanup))
        case .module(.install):
            isExcused = true
            returnsTo = step
            fail(reason, .stopped)
        default: break
        }
    }

    /// Continues from a stored record whose last step was begun and may be done, partly done or not done.
    ///
    /// - Parameter runsVersion: the device reports the version of this installation.
    mutating func resume(bootID current: String, runsVersion: Bool = false) {
        let isNewBoot = bootID != current
        defer { wasStopped = nil }
        // A bootloader may have started the new version before anything asked for the reboot: a rollback needs one then.
        if isNewBoot, runsVersion, step != .prepare, step != .module(.download) { hasRebooted = true }
        let waitsForReboot = awaitsReboot || step == .module(.reboot) || step == .module(.rollbackReboot)
        if wasStopped == true, !waitsForReboot || !isNewBoot {
            bootID = current
            if wasEnded == true { resumeEnded() }
            wasEnded = nil
            return
        }
        wasEnded = nil
        if isNewBoot, step == .reboot || step == .module(.reboot) {
            attempts.countReboot(into: job.offer.versionCode)
            countedReboots = (countedReboots ?? 0) + 1
        }
        bootID = current
        let unfinished = "it was interrupted during \(step.name)"
        interruptions = min(interruptions + 1, Self.maximumInterruptions + 1)
        let isHopeless = interruptions > Self.maximumInterruptions
        switch step {
        case .done: break
        // Repeating these steps does no harm.
        case .prepare, .askNeedsReboot, .askSupportsRollback, .askNeedsRebootForRollback, .checkVersion: break
        case .restartUnits:
            if interruptions > Self.maximumHealthInterruptions { advance(.failed(unfinished, code: .interrupted)) }
        case .checkHealth:
            if interruptions > Self.maximumHealthInterruptions { advance(.failed(unfinished, code: .interrupted)) }
        case .module(.download), .module(.install), .module(.verifyReboot), .module(.commit):
            advance(.failed(unfinished, code: .interrupted))
        // In the boot in which the step began, the module has not rebooted the device yet: it is called again.
        case .module(.reboot):
            if isNewBoot { go(to: .module(.verifyReboot)) }
        case .module(.rollbackReboot):
            if isNewBoot { go(to: .module(.verifyRollbackReboot)) }
        case .reboot:
            if isNewBoot {
                hasRebooted = true
                go(to: .module(.verifyReboot))
            }
        case .rebootIntoRollback:
            if isNewBoot { go(to: .module(.verifyRollbackReboot)) }
        case .module(.rollback), .module(.verifyRollbackReboot), .module(.failure), .module(.cleanup),
            .restartUnitsForRollback:
            // The step starts again, but only a limited number of times.
            if isHopeless { advance(.failed(unfinished, code: .interrupted)) }
        }
    }
}

extension InstallStep {
    /// The reason of a failure in this step, if nothing more is known about it.
    var failureCode: ReasonCode {
        switch self {
        case .prepare: .preparationFailed
        case .module(.download), .module(.install), .module(.commit), .module(.cleanup), .module(.rollback),
            .module(.failure), .askNeedsReboot, .askNeedsRebootForRollback, .askSupportsRollback:
            .moduleFailed
        case .module(.reboot), .module(.verifyReboot), .module(.rollbackReboot), .module(.verifyRollbackReboot),
            .reboot,
            .rebootIntoRollback:
            .rebootFailed
        case .restartUnits, .restartUnitsForRollback: .unitsFailed
        case .checkVersion: .versionMismatch
        case .checkHealth: .healthCheckFailed
        case .done: .unknown
        }
    }

    /// The step's name in messages.
    public var name: String {
        switch self {
        case .prepare: "verification"
        case .module(let state): state.rawValue
        case .askNeedsReboot, .askNeedsRebootForRollback: "NeedsArtifactReboot"
        case .askSupportsRollback: "SupportsRollback"
        case .reboot, .rebootIntoRollback: "the reboot"
        case .restartUnits, .restartUnitsForRollback: "the restart of units"
        case .checkVersion: "the version check"
        case .checkHealth: "the health check"
        case .done: "its end"
        }
    }
}
