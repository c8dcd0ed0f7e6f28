public import UpdateCore

/// One thing the installer does. The record that names it is stored before it is begun.
public enum InstallStep: Codable, Hashable, Sendable {
    /// Verify the artifact into a fresh file tree.
    case prepare
    case module(ModuleState)
    case askNeedsReboot
    /// Wait for the box to restart; what follows is done by the next boot.
    case restart
    /// Does the box report the version that was installed?
    case checkVersion
    /// Does the box work, as far as the operator's health check can tell?
    case checkHealth
    case askSupportsRollback
    /// As `askNeedsReboot`, for an installation that failed before it was asked.
    case askNeedsRebootForRollback
    case restartIntoRollback
    case done
}

/// What became of a step.
public enum StepOutcome: Hashable, Sendable {
    case succeeded
    case failed(String)
    /// The disk has no room for the artifact, or does not take it.
    case noSpace(String)
    case needsReboot(RebootNeed)
    case supportsRollback(Bool)
    /// The box must restart, which the agent decides the time of.
    case awaitsRestart
}

/// An installation as it is stored: enough to go on with after a crash or a power cut at any moment.
public struct InstallRecord: Codable, Hashable, Sendable {
    public var job: InstallJob
    public var step: InstallStep
    /// The boot in which the step was begun.
    public var bootID: String
    public var needsReboot: RebootNeed?
    /// The box was restarted for this installation.
    public var hasRestarted = false
    /// Why it failed; the first reason stays.
    public var failure: String?
    /// The old version could not be brought back, or the module cannot do so.
    public var isBroken = false
    public var rollbackReboots = 0
    /// Starts that found the same step unfinished.
    public var interruptions = 0
    public var result: InstallResult?
    /// The update module that gets every state of this installation, whatever the configuration names by then. Nil in what
    /// 0.1.0 stored.
    public var module: String?
    /// A second copy of the installer's count.
    public var attempts = InstallAttempts()

    public init(job: InstallJob, bootID: String, module: String? = nil) {
        self.job = job
        self.step = .prepare
        self.bootID = bootID
        self.module = module
    }

    private enum CodingKeys: String, CodingKey {
        case job, step, bootID, needsReboot, hasRestarted, failure, isBroken, rollbackReboots, interruptions, result
        case module, attempts
    }

    /// As far as this version knows what an older or a newer one stored (``StoredFormat``). From a step that is not known here
    /// the way leads back to the version that worked.
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        job = try fields.required(.job)
        bootID = fields.value(.bootID, or: "")
        needsReboot = fields.optional(.needsReboot)
        hasRestarted = fields.value(.hasRestarted, or: false)
        failure = fields.optional(.failure)
        isBroken = fields.value(.isBroken, or: false)
        rollbackReboots = max(fields.value(.rollbackReboots, or: 0), 0)
        interruptions = max(fields.value(.interruptions, or: 0), 0)
        module = fields.optional(.module)
        attempts = fields.value(.attempts, or: InstallAttempts())
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

    /// An installation whose record cannot be read: all that is left to do is to return to the version that worked. Whether the
    /// device was rebooted is not known: a reboot too many does no harm.
    init(recovering job: InstallJob, module: String, bootID: String) {
        self.init(job: job, bootID: bootID, module: module)
        step = .askSupportsRollback
        hasRestarted = true
        failure = "the record of its installation could not be read"
    }
}

/// The installer's decisions: which step follows which. States and conditions are those of Mender's "Update modules v3
/// protocol"; checking the version before the commit is this project's.
extension InstallRecord {
    static let maximumRollbackReboots = 3
    /// A step that is interrupted more often than this is passed over: it may be what brings the box down.
    static let maximumInterruptions = 10
    /// A health check that is interrupted more often than this has failed: power cuts come one at a time, and a version
    /// that brings the box down does so each time.
    static let maximumHealthInterruptions = 3

    mutating func go(to next: InstallStep) {
        step = next
        interruptions = 0
    }

    var awaitsRestart: Bool { step == .restart || step == .restartIntoRollback }

    /// The step that follows the current one, given what became of it.
    mutating func advance(_ outcome: StepOutcome) {
        switch (step, outcome) {
        case (.prepare, .succeeded): go(to: .module(.download))
        case (.prepare, .failed(let reason)):
            result = .refused(reason)
            go(to: .done)
        case (.prepare, .noSpace(let reason)):
            result = .noSpace(reason)
            go(to: .done)

        case (.module(.download), .succeeded): go(to: .module(.install))
        case (.module(.download), .failed(let reason)):
            failure = reason
            go(to: .module(.cleanup))

        case (.module(.install), .succeeded): go(to: .askNeedsReboot)
        case (.askNeedsReboot, .needsReboot(let need)):
            needsReboot = need
            switch need {
            case .no: go(to: .checkVersion)
            case .yes: go(to: .module(.reboot))
            case .automatic: go(to: .restart)
            }
        case (.module(.reboot), .succeeded): go(to: .module(.verifyReboot))
        case (.restart, .awaitsRestart): break
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
        case (.restartIntoRollback, .awaitsRestart): break
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

        case (_, .failed(let reason)), (_, .noSpace(let reason)):
            fail(reason)
        case (_, .succeeded), (_, .needsReboot), (_, .supportsRollback), (_, .awaitsRestart):
            fail("the step \(step) cannot end in \(outcome)")
        }
    }

    /// Something failed after the module had begun to change the box.
    private mutating func fail(_ reason: String) {
        failure = failure ?? reason
        go(to: .askSupportsRollback)
    }

    private mutating func afterRollback() {
        switch needsReboot {
        case .yes:
            rollbackReboots += 1
            go(to: .module(.rollbackReboot))
        case .automatic where hasRestarted:
            rollbackReboots += 1
            go(to: .restartIntoRollback)
        case .automatic, .no, nil:
            go(to: .module(.failure))
        }
    }

    private mutating func finish() {
        if let failure {
            result = isBroken ? .failed(failure) : .rolledBack(failure)
        } else {
            result = .committed
        }
        go(to: .done)
    }

    /// The installer found this record when it started: its last step was begun, and nobody knows how far it came.
    mutating func resume(bootID current: String) {
        let isNewBoot = bootID != current
        if isNewBoot, step == .restart || step == .module(.reboot) { attempts.countReboot(into: job.offer.versionCode) }
        bootID = current
        let unfinished = "it was interrupted during \(step.name)"
        interruptions += 1
        let isHopeless = interruptions > Self.maximumInterruptions
        switch step {
        case .done: break
        // Nothing has changed yet, or asking and checking again does no harm.
        case .prepare, .askNeedsReboot, .askSupportsRollback, .askNeedsRebootForRollback, .checkVersion: break
        case .checkHealth:
            if interruptions > Self.maximumHealthInterruptions { advance(.failed(unfinished)) }
        case .module(.download), .module(.install), .module(.verifyReboot), .module(.commit):
            advance(.failed(unfinished))
        case .module(.reboot): go(to: .module(.verifyReboot))
        case .module(.rollbackReboot): go(to: .module(.verifyRollbackReboot))
        case .restart:
            if isNewBoot {
                hasRestarted = true
                go(to: .module(.verifyReboot))
            }
        case .restartIntoRollback:
            if isNewBoot { go(to: .module(.verifyRollbackReboot)) }
        case .module(.rollback), .module(.verifyRollbackReboot), .module(.failure), .module(.cleanup):
            // Begun again from its start, but not for ever.
            if isHopeless { advance(.failed(unfinished)) }
        }
    }
}

extension InstallStep {
    public var name: String {
        switch self {
        case .prepare: "verification"
        case .module(let state): state.rawValue
        case .askNeedsReboot, .askNeedsRebootForRollback: "NeedsArtifactReboot"
        case .askSupportsRollback: "SupportsRollback"
        case .restart, .restartIntoRollback: "the restart"
        case .checkVersion: "the version check"
        case .checkHealth: "the health check"
        case .done: "its end"
        }
    }
}
