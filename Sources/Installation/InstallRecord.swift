public import UpdateCore

/// A step of an installation. The installer stores the record that names the step before it begins the step.
public enum InstallStep: Codable, Hashable, Sendable {
    /// Copy the artifact into a new file tree and verify it there.
    case prepare
    case module(ModuleState)
    case askNeedsReboot
    /// Restart the units that use the new version (`install.restartUnits`).
    case restartUnits
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
    /// The same units after a rollback without a reboot, and the units of the health check that do not run.
    case restartUnitsForRollback
    case done

    private enum CodingKeys: String, CodingKey {
        case prepare, module, askNeedsReboot, restartUnits, checkVersion, checkHealth, askSupportsRollback
        case askNeedsRebootForRollback, restartUnitsForRollback, done
        // The names of 0.1.0.
        case reboot = "restart"
        case rebootIntoRollback = "restartIntoRollback"
    }
}

/// The outcome of a step.
public enum StepOutcome: Hashable, Sendable {
    case succeeded
    ///
    /// - Parameter code: nil for that of the step.
    case failed(String, code: ReasonCode? = nil)
    /// The disk has not enough space for the artifact, or writing failed.
    case noSpace(String)
    /// The artifact was verified, and its signature requires this minimum of every later version; nil: none.
    case verified(minVersionCode: Int?)
    case needsReboot(RebootNeed)
    case supportsRollback(Bool)
    /// The device must reboot; the agent decides when.
    case awaitsReboot
    /// The module has requested the reboot. The next boot continues; in this one the step may be repeated.
    case rebooting
    /// The module could not reboot the device into the previous version. The step is repeated later.
    case rebootRefused(String)
    /// The step was ended in the middle, because the installer was told to stop.
    case stopped
    /// The health check cannot go on, because the agent was stopped.
    case agentStopped
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
    /// The same for programs. Nil in a record of 0.1.0.
    public var failureCode: ReasonCode?
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
    /// When the reboot of this step was first requested: seconds of CLOCK_BOOTTIME in the boot ``bootID``.
    public var rebootRequestedSince: Seconds?
    /// The command, or the module, has been asked for that reboot.
    public var rebootWasTried: Bool?
    /// Reboots into the version that ``attempts`` counts for this installation.
    public var countedReboots: Int?
    /// The installer stopped on request, before ``step`` began or during its health check.
    public var wasStopped: Bool?
    /// The stop ended ``step`` in the middle.
    public var wasEnded: Bool?
    /// How often the installer stopped on request.
    public var stops: Int?
    /// ``failure`` is not the version's fault: it is not counted.
    public var isExcused: Bool?
    /// If the module has no rollback, the installation continues with this step.
    public var returnsTo: InstallStep?
    /// When the installation began. Nil in a record of 0.1.0.
    public var began: WallTime?
    /// The agent's unit was enabled when the installation began.
    public var agentWasEnabled: Bool?

    public init(job: InstallJob, bootID: String, module: String? = nil) {
        self.job = job
        self.step = .prepare
        self.bootID = bootID
        self.module = module
    }

    private enum CodingKeys: String, CodingKey {
        case job, step, bootID, needsReboot, failure, isBroken, rollbackReboots, interruptions, result
        case module, attempts, floor, isAboveFloor, minVersionCode, rebootRequestedSince, wasStopped
        case rebootWasTried, countedReboots, wasEnded, stops, isExcused, returnsTo, began, agentWasEnabled, failureCode
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
        failureCode = fields.optional(.failureCode)
        isBroken = fields.value(.isBroken, or: false)
        rollbackReboots = min(max(fields.value(.rollbackReboots, or: 0), 0), Self.maximumRollbackReboots)
        interruptions = min(max(fields.value(.interruptions, or: 0), 0), Self.maximumInterruptions + 1)
        module = fields.optional(.module)
        attempts = fields.value(.attempts, or: InstallAttempts())
        floor = fields.value(.floor, or: VersionFloor())
        isAboveFloor = fields.value(.isAboveFloor, or: true)
        minVersionCode = fields.optional(.minVersionCode)
        rebootRequestedSince = fields.optional(.rebootRequestedSince)
        wasStopped = fields.optional(.wasStopped)
        rebootWasTried = fields.optional(.rebootWasTried)
        countedReboots = fields.optional(.countedReboots).map { min(max($0, 0), InstallAttempts.maximumCount) }
        wasEnded = fields.optional(.wasEnded)
        stops = fields.optional(.stops).map { min(max($0, 0), Self.maximumStops) }
        isExcused = fields.optional(.isExcused)
        returnsTo = fields.optional(.returnsTo)
        began = fields.optional(.began)
        agentWasEnabled = fields.optional(.agentWasEnabled)
        result = fields.optional(.result)
        if result == nil, fields.contains(.result) {
            result = .failed(
                "another version of upgradelinkd stored a result that this one does not know", code: .unknown)
        }
        if let known: InstallStep = fields.optional(.step) {
            step = known
        } else if result != nil {
            step = .done
        } else {
            step = .askSupportsRollback
            failureCode = failure == nil ? .unknown : failureCode
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
        failureCode = .recordLost
    }
}
