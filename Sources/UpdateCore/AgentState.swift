/// Everything that the agent remembers. The agent stores it as a whole before it carries out the effects of an event.
public struct AgentState: Codable, Hashable, Sendable {
    /// The boot id to which every ``BootInstant`` in this state belongs.
    public var bootID = ""
    public var poll = Poll()
    public var work: Work?
    /// The versions that failed; at most ``Trial/remembered``.
    public var trials: [Trial] = []
    /// The versions that the user rejected; at most ``Trial/remembered``.
    public var rejected: [Int] = []
    public var reports = ReportQueue()
    /// The outcomes of earlier offers, the latest last; at most ``Attempt/remembered``.
    public var history: [Attempt] = []
    /// The server's clock, if the device's own clock was wrong in this boot.
    public var serverClock: ServerClock?
    /// The versionCode that was committed last. As long as it is installed, a pinned version is not installed over itself.
    public var lastCommitted: Int?
    /// A version that had missed its maintenance windows is installed right after this boot. Not stored.
    public var installsAtBoot = false
    /// One line about the last error; nil after a success.
    public private(set) var lastError: String?
    /// The same for programs. Nil if ``lastError`` is.
    public private(set) var lastErrorCode: ReasonCode?

    /// The greatest length of ``lastError``, in characters.
    static let errorLimit = 1000

    public init() {}

    /// Makes this the last error.
    public mutating func note(_ error: Reason) {
        lastError = error.text.sanitized(limit: Self.errorLimit)
        lastErrorCode = error.code
    }

    mutating func forgetError() { (lastError, lastErrorCode) = (nil, nil) }
}

/// The state of the update checks.
public struct Poll: Codable, Hashable, Sendable {
    public enum Outcome: Codable, Hashable, Sendable {
        case never
        case succeeded
        case failing(failures: Int)
        case misconfigured(failures: Int)

        private enum CodingKeys: String, CodingKey {
            case never, misconfigured
            // As 0.1.0 named them.
            case succeeded = "answered"
            case failing = "troubled"
        }
    }

    public var next = BootInstant(0)
    public var outcome = Outcome.never
    /// The device's wrong clock explains a TLS failure: the next check follows as soon as the clock is set.
    public var awaitsClock = false
    /// The wall clock minus CLOCK_BOOTTIME when the agent began to wait for the clock, in seconds; nil if the clock was not set at all.
    public var clockOffset: Seconds?
    /// The time of the last successful check.
    public var lastResponse: WallTime?
    /// The number of boots since then, this one included, at most 1000. Nil if an older agent stored the state.
    public var bootsWithoutResponse: Int?
    /// The number of checks in a row without a result, at most 31. It delays the next check, because an agent that crashes on
    /// each response must not poll at once after each restart.
    public var unheard = 0
    /// A newer offer waits in the inbox for the end of the current installation.
    public var isOfferHeld: Bool?
    /// A worker runs a check. Not stored: after a restart the agent checks again.
    public var isRunning = false

    enum CodingKeys: String, CodingKey {
        case next, awaitsClock, clockOffset, unheard, isOfferHeld
        // As 0.1.0 named them.
        case outcome = "mood"
        case lastResponse = "lastAnswer"
        case bootsWithoutResponse = "unansweredBoots"
    }

    /// The first check after a boot comes early, because the device is new or seldom on.
    var isEager: Bool { lastResponse == nil || (bootsWithoutResponse ?? 0) >= PollSchedule.bootsWithoutResponse }

    var failures: Int {
        switch outcome {
        case .never, .succeeded: 0
        case .failing(let failures), .misconfigured(let failures): failures
        }
    }
}

/// The current offer and its progress.
public struct Work: Codable, Hashable, Sendable {
    /// The current step; docs/states.md shows the transitions.
    public enum Step: Codable, Hashable, Sendable {
        case downloading
        case consent
        /// The download or the installation can begin, unless a ``Delay`` applies.
        case ready
        case installing(InstallID)
        /// The device must reboot to finish the installation or the rollback.
        case rebootReady(InstallID, isRollback: Bool, since: BootInstant)
        case rebooting(InstallID)
        /// The offer waits until this moment.
        case later(at: BootInstant, why: RetryReason)

        private enum CodingKeys: String, CodingKey {
            case downloading, consent, ready, installing, later
            // As 0.1.0 named them.
            case rebootReady = "restartReady"
            case rebooting = "restarting"
        }
    }

    public enum RetryReason: Codable, Hashable, Sendable {
        case transientError(TransientError)
        case noSpace(String)
        case noKeys
        case failed(String)
        case cancelled
        /// The installer died. It resumes from its own record.
        case installerLost(InstallID, String)
        /// The reboot was refused, for example by an inhibitor of logind.
        case rebootRefused(InstallID, String)
        /// The installation ended for a reason that is not the version's fault, such as a power-off.
        case interrupted(String)

        private enum CodingKeys: String, CodingKey {
            case noSpace, noKeys, failed, cancelled, installerLost, interrupted
            // As 0.1.0 named them.
            case transientError = "trouble"
            case rebootRefused = "restartRefused"
        }

        /// The installation that is resumed after the wait.
        var installation: InstallID? {
            switch self {
            case .installerLost(let id, _), .rebootRefused(let id, _): id
            case .transientError, .noSpace, .noKeys, .failed, .cancelled, .interrupted: nil
            }
        }
    }

    public var offer: Offer
    public var step: Step
    public var artifact: Artifact?
    public var hasConsent: Bool
    /// When to install the version, if the user chose a time.
    public var timing: Timing?
    /// The user consents to the reboot of this installation.
    public var mayReboot = false
    /// How often the user deferred the version.
    public var deferrals = 0
    /// When consent is requested again.
    public var askAgainAt: BootInstant?
    /// When a forced version is installed, even outside of the maintenance windows.
    public var deadline: BootInstant?
    /// The user's deferral or cancellation.
    public var pause: Pause?
    /// The grace period, for the next boot.
    public var grace: Pause?
    /// How long the version has waited for a maintenance window; nil if it has not.
    public var windowWait: WindowWait?
    /// When this attempt began, for the history.
    public var started: WallTime
    /// When the offer was taken up in this boot. ``Policy/inhibitLimit`` of a forced download counts from here.
    public var since: BootInstant
    /// The number of errors since the last successful download that are not counted against the version: transient errors, full
    /// disks, refused reboots, lost installers. The back-off grows with it.
    public var obstacles = 0
    /// When the first of the ``obstacles`` was met.
    public var obstaclesSince: WallTime?
    /// When HTTP 404 or 410 was first received, if nothing else was received since then. Nil if the clock was not set.
    public var goneSince: WallTime?
    /// Bytes that downloads of this offer have received, including those that were discarded.
    public var received: ByteCount = 0
    /// The largest size of the file that a server named, in bytes; 0 if none did.
    public var fileSize: ByteCount = 0
    /// A file that is not what was signed has been reported to the server.
    public var hasReportedRefusal = false
    /// The installed versionCode when the installation began.
    public var installedBefore: Int?
    /// The reboot that the installation waits for in this boot.
    public var rebootWait: RebootWait?
    /// The user cancelled the installation, which is being rolled back.
    public var isCancelled: Bool?
    /// This agent has sent the cancellation to the installer. Not stored: after a restart it is sent again if need be.
    public var isCancelSent = false
    /// How often the staged file was lost since an installation last began with it.
    public var artifactLosses: Int?

    /// The interval in which consent is requested again if no deferral is left, and after a cancellation.
    public static let reminder: Seconds = 3600

    enum CodingKeys: String, CodingKey {
        case offer, step, artifact, hasConsent, timing, deferrals, askAgainAt, deadline, started, since
        case pause, grace, windowWait
        case obstacles, obstaclesSince, goneSince, received, fileSize, hasReportedRefusal, installedBefore
        case rebootWait, isCancelled, artifactLosses
        // As 0.1.0 named it.
        case mayReboot = "mayRestart"
    }

    public init(offer: Offer, step: Step, hasConsent: Bool, started: WallTime, since: BootInstant) {
        self.offer = offer
        self.step = step
        self.hasConsent = hasConsent
        self.started = started
        self.since = since
    }

    /// The version is not installed before the user has consented: because of its type, or because it has missed its windows.
    public var isUpToUser: Bool { offer.upgradeType.needsConsent || windowWait?.asks == true }

    var isForced: Bool { offer.upgradeType == .forced }

    /// The installation has not begun.
    var isCancellable: Bool {
        switch step {
        case .later(_, let why): why.installation == nil
        case .installing, .rebootReady, .rebooting: false
        case .downloading, .consent, .ready: true
        }
    }

    /// The device reports this version, and reported another one before the installation.
    func hasBecomeInstalled(_ installed: InstalledVersion) -> Bool {
        guard let installedBefore, installedBefore != offer.versionCode else { return false }
        return installed.versionCode == offer.versionCode
    }

    /// No download and no installation runs: a check may replace or refresh the offer.
    var isWaiting: Bool {
        switch step {
        case .later(_, let why): why.installation == nil
        case .consent, .ready: true
        case .downloading, .installing, .rebootReady, .rebooting: false
        }
    }
}

/// How often a version failed on this device.
public struct Trial: Codable, Hashable, Sendable {
    public var versionCode: Int
    public var failures: Int
    /// The last failure, in one line.
    public var reason: String
    /// Nil if an older agent counted it.
    public var reasonCode: ReasonCode?

    /// The number of versions that are remembered.
    public static let remembered = 8

    init(versionCode: Int, failures: Int, reason: Reason) {
        self.versionCode = versionCode
        self.failures = failures
        self.reason = reason.text.sanitized(limit: AgentState.errorLimit)
        reasonCode = reason.code
    }

    enum CodingKeys: String, CodingKey { case versionCode, failures, reason, reasonCode }
}

extension AgentState {
    func failures(of versionCode: Int) -> Int {
        trials.first { $0.versionCode == versionCode }?.failures ?? 0
    }

    mutating func countFailure(of versionCode: Int, _ reason: Reason) {
        let failures = failures(of: versionCode) + 1
        trials.removeAll { $0.versionCode == versionCode }
        trials.append(Trial(versionCode: versionCode, failures: failures, reason: reason))
        if trials.count > Trial.remembered { trials.removeFirst() }
    }
}
