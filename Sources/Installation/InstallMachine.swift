public import UpdateCore

/// A step of an installation. The installer stores the record that names the step before it begins the step.
public enum InstallStep: Codable, Hashable, Sendable {
    /// Copy the artifact into a new file tree and verify it there.
    case prepare
    case module(ModuleState)
    case askNeedsReboot
    /// Wait for a reboot of the device. The next boot continues with the next step.
    case reboot
    /// Check that the device reports the version that was installed.
    case checkVersion
    /// Run the operator's health check.
    case checkHealth
    case askSupportsRollback
    /// The same query as `askNeedsReboot`, for an installation that failed before that step.
    case askNeedsRebootForRollback
    case rebootIntoRollback
    case done

    private enum CodingKeys: String, CodingKey {
        case prepare, module, askNeedsReboot, checkVersion, checkHealth, askSupportsRollback
        case askNeedsRebootForRollback, done
        // The names of 0.1.0.
        case reboot = "restart"
        case rebootIntoRollback = "restartIntoRollback"
    }
}

/// The outcome of a step.
public enum StepOutcome: Hashable, Sendable {
    case succeeded
    case failed(String)
    /// The disk has not enough space for the artifact, or writing failed.
    case noSpace(String)
    /// The artifact was verified, and its signature requires this minimum of every later version; nil: none.
    case verified(minVersionCode: Int?)
    case needsReboot(RebootNeed)
    case supportsRollback(Bool)
    /// The device must reboot; the agent decides when.
    case awaitsReboot
    /// The step failed for a passing reason, such as the lock of another program: not counted, and tried again later.
    case postponed(String)
}

/// The stored record of an installation. The installer resumes from it after a crash or a power cut at any moment.
public struct InstallRecord: Codable, Hashable, Sendable {
    public var job: InstallJob
    public var step: InstallStep
    /// The boot id of the boot in which the step began.
    public var bootID: String
    public var needsReboot: RebootNeed?
    /// The device was rebooted for this installation.
    public var hasRebooted = false
    /// Why the installation failed; a later reason does not replace it.
    public var failure: String?
    /// The rollback failed, or the module does not support one.
    public var isBroken = false
    public var rollbackReboots = 0
    /// How often the installer started and found the current step unfinished.
    public var interruptions = 0
    public var result: InstallResult?
    /// The update module that runs every state of this installation, even if the configuration names another one by then. Nil
    /// in a record of 0.1.0.
    public var module: String?
    /// A second copy of `attempts.json`.
    public var attempts = InstallAttempts()
    /// A second copy of `floor.json`.
    public var floor = VersionFloor()
    /// The version was above the floor when the installation began. Otherwise its commit resets no counts, because the same
    /// versions could be installed again and again.
    public var isAboveFloor = true
    /// Of the artifact's signature: the floor after the commit, if it is higher than the version.
    public var minVersionCode: Int?
    /// Since when an inhibitor of logind delays the reboot of this step: seconds of CLOCK_BOOTTIME in the boot ``bootID``.
    public var rebootDelayedSince: Seconds?
    /// The installer stopped on request, before ``step`` began or during its health check.
    public var wasStopped: Bool?
    /// ``failure`` is not the version's fault: it is not counted.
    public var isExcused: Bool?

    public init(job: InstallJob, bootID: String, module: String? = nil) {
        self.job = job
        self.step = .prepare
        self.bootID = bootID
        self.module = module
    }

    private enum CodingKeys: String, CodingKey {
        case job, step, bootID, needsReboot, failure, isBroken, rollbackReboots, interruptions, result
        case module, attempts, floor, isAboveFloor, minVersionCode, rebootDelayedSince, wasStopped, isExcused
        // The name of 0.1.0.
        case hasRebooted = "hasRestarted"
    }

    /// Reads the fields that this version knows; an older or a newer version may have stored the record (``StoredFormat``). An
    /// unknown step leads to a rollback.
    ///
    /// - Throws: `DecodingError` if the job cannot be read.
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        job = try fields.required(.job)
        bootID = fields.value(.bootID, or: "")
        needsReboot = fields.optional(.needsReboot)
        hasRebooted = fields.value(.hasRebooted, or: false)
        failure = fields.optional(.failure, String.self)?.sanitized(limit: Self.reasonLimit)
        isBroken = fields.value(.isBroken, or: false)
        rollbackReboots = min(max(fields.value(.rollbackReboots, or: 0), 0), Self.maximumRollbackReboots)
        interruptions = min(max(fields.value(.interruptions, or: 0), 0), Self.maximumInterruptions + 1)
        module = fields.optional(.module)
        attempts = fields.value(.attempts, or: InstallAttempts())
        floor = fields.value(.floor, or: VersionFloor())
        isAboveFloor = fields.value(.isAboveFloor, or: true)
        minVersionCode = fields.optional(.minVersionCode)
        rebootDelayedSince = fields.optional(.rebootDelayedSince)
        wasStopped = fields.optional(.wasStopped)
        isExcused = fields.optional(.isExcused)
        result = fields.optional(.result)
        if result == nil, fields.contains(.result) {
            result = .failed("another version of upgradelinkd stored a result that this one does not know")
        }
        if let known: InstallStep = fields.optional(.step) {
            step = known
        } else if result != nil {
            step = .done
        } else {
            step = .askSupportsRollback
            failure = failure ?? "another version of upgradelinkd stored a step that this one does not know"
        }
    }

    /// The record of an installation whose stored record is lost or cannot be read; it starts with the rollback. Whether the device was
    /// rebooted is unknown, so the record says that it was: an unnecessary reboot does no harm.
    init(recovering job: InstallJob, module: String, bootID: String) {
        self.init(job: job, bootID: bootID, module: module)
        step = .askSupportsRollback
        hasRebooted = true
        failure = "the record of its installation could not be read"
    }
}

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

    mutating func go(to next: InstallStep) {
        step = next
        interruptions = 0
        rebootDelayedSince = nil
        wasStopped = nil
    }

    var awaitsReboot: Bool { step == .reboot || step == .rebootIntoRollback }

    /// Whether inhibitors delay the reboot. They delay that of a rollback and of a forced version no longer than `limit`.
    func mayBeDelayed(at now: BootInstant, by limit: Seconds) -> Bool {
        guard step == .rebootIntoRollback || job.offer.upgradeType == .forced else { return true }
        return rebootDelayedSince.map { (0..<limit).contains(now.seconds - $0) } ?? (limit > 0)
    }

    /// Goes to the step that follows the current one after this outcome.
    mutating func advance(_ outcome: StepOutcome) {
        switch (step, outcome) {
        case (.prepare, .succeeded): go(to: .module(.download))
        case (.prepare, .verified(let minimum)):
            minVersionCode = minimum
            go(to: .module(.download))
        case (.prepare, .failed(let reason)):
            result = .refused(reason.sanitized(limit: Self.reasonLimit))
            go(to: .done)
        case (.prepare, .noSpace(let reason)):
            result = .noSpace(reason.sanitized(limit: Self.reasonLimit))
            go(to: .done)

        case (.module(.download), .succeeded): go(to: .module(.install))
        case (.module(.download), .postponed(let reason)):
            isExcused = true
            failure = reason.sanitized(limit: Self.reasonLimit)
            go(to: .module(.cleanup))
        case (.module(.download), .failed(let reason)):
            failure = reason.sanitized(limit: Self.reasonLimit)
            go(to: .module(.cleanup))

        case (.module(.install), .succeeded): go(to: .askNeedsReboot)
        case (.askNeedsReboot, .needsReboot(let need)):
            needsReboot = need
            switch need {
            case .no: go(to: .checkVersion)
            case .yes: go(to: .module(.reboot))
            case .automatic: go(to: .reboot)
            }
        case (.module(.reboot), .succeeded): go(to: .module(.verifyReboot))
        case (.reboot, .awaitsReboot): break
        case (.module(.verifyReboot), .succeeded): go(to: .checkVersion)
        case (.checkVersion, .succeeded): go(to: .checkHealth)
        case (.checkHealth, .succeeded): go(to: .module(.commit))
        case (.module(.commit), .succeeded): go(to: .module(.cleanup))

        case (.askSupportsRollback, .supportsRollback(true)): go(to: .module(.rollback))
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
        case (.rebootIntoRollback, .awaitsReboot): break
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

        case (_, .postponed(let reason)) where failure == nil:
            isExcused = true
            fail(reason)
        case (_, .failed(let reason)), (_, .noSpace(let reason)), (_, .postponed(let reason)):
            fail(reason)
        case (_, .succeeded), (_, .verified), (_, .needsReboot), (_, .supportsRollback), (_, .awaitsReboot):
            fail("the step \(step) cannot end in \(outcome)")
        }
    }

    /// Starts the rollback, because a step failed after the module had begun to change the device.
    private mutating func fail(_ reason: String) {
        failure = failure ?? reason.sanitized(limit: Self.reasonLimit)
        go(to: .askSupportsRollback)
    }

    /// Starts the rollback of an installation that waits for its reboot, because the user cancelled it.
    ///
    /// - Returns: false if the installation is not in that state.
    mutating func cancel() -> Bool {
        guard step == .reboot || step == .module(.reboot), failure == nil, result == nil else { return false }
        isExcused = true
        fail("it was cancelled")
        return true
    }

    private mutating func afterRollback() {
        switch needsReboot {
        case .yes:
            rollbackReboots += 1
            go(to: .module(.rollbackReboot))
        case .automatic where hasRebooted:
            rollbackReboots += 1
            go(to: .rebootIntoRollback)
        case .automatic, .no, nil:
            go(to: .module(.failure))
        }
    }

    private mutating func finish() {
        if let failure {
            result = isBroken ? .failed(failure) : isExcused == true ? .interrupted(failure) : .rolledBack(failure)
            if isExcused == true, !isBroken { attempts.uncountAttempt(at: job.offer.versionCode) }
        } else {
            result = .committed
        }
        go(to: .done)
    }

    /// Continues from a stored record whose last step was begun and may be done, partly done or not done.
    mutating func resume(bootID current: String) {
        let isNewBoot = bootID != current
        defer { wasStopped = nil }
        let waitsForReboot = awaitsReboot || step == .module(.reboot) || step == .module(.rollbackReboot)
        if wasStopped == true, !waitsForReboot || !isNewBoot {
            bootID = current
            return
        }
        if isNewBoot, step == .reboot || step == .module(.reboot) { attempts.countReboot(into: job.offer.versionCode) }
        bootID = current
        let unfinished = "it was interrupted during \(step.name)"
        interruptions = min(interruptions + 1, Self.maximumInterruptions + 1)
        let isHopeless = interruptions > Self.maximumInterruptions
        switch step {
        case .done: break
        // Repeating these steps does no harm.
        case .prepare, .askNeedsReboot, .askSupportsRollback, .askNeedsRebootForRollback, .checkVersion: break
        case .checkHealth:
            if interruptions > Self.maximumHealthInterruptions { advance(.failed(unfinished)) }
        case .module(.download), .module(.install), .module(.verifyReboot), .module(.commit):
            advance(.failed(unfinished))
        case .module(.reboot): go(to: .module(.verifyReboot))
        case .module(.rollbackReboot): go(to: .module(.verifyRollbackReboot))
        case .reboot:
            if isNewBoot {
                hasRebooted = true
                go(to: .module(.verifyReboot))
            }
        case .rebootIntoRollback:
            if isNewBoot { go(to: .module(.verifyRollbackReboot)) }
        case .module(.rollback), .module(.verifyRollbackReboot), .module(.failure), .module(.cleanup):
            // The step starts again, but only a limited number of times.
            if isHopeless { advance(.failed(unfinished)) }
        }
    }
}

extension InstallStep {
    /// The step's name in messages.
    public var name: String {
        switch self {
        case .prepare: "verification"
        case .module(let state): state.rawValue
        case .askNeedsReboot, .askNeedsRebootForRollback: "NeedsArtifactReboot"
        case .askSupportsRollback: "SupportsRollback"
        case .reboot, .rebootIntoRollback: "the reboot"
        case .checkVersion: "the version check"
        case .checkHealth: "the health check"
        case .done: "its end"
        }
    }
}
