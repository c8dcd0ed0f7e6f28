/// Everything the agent remembers. It is stored whole before any effect of a step is carried out.
public struct AgentState: Codable, Hashable, Sendable {
    /// The boot that every ``BootInstant`` in here belongs to.
    public var bootID = ""
    public var poll = Poll()
    public var work: Work?
    public var trials: [Trial] = []
    /// Versions the person in front of the box does not want.
    public var rejected: [Int] = []
    public var reports = ReportQueue()
    /// What became of the offers so far, the latest last; at most ``Attempt/remembered``.
    public var history: [Attempt] = []
    public var serverClock: ServerClock?
    /// The version that was committed last; an appointed version is not installed over itself again and again.
    public var lastCommitted: Int?
    /// One line about what last went wrong, until something goes right.
    public var lastError: String? {
        didSet { lastError = lastError?.forPeople(limit: Self.errorLimit) }
    }

    /// One line about what last went wrong is not longer than this many characters.
    static let errorLimit = 1000

    public init() {}
}

/// Asking the server.
public struct Poll: Codable, Hashable, Sendable {
    public enum Mood: Codable, Hashable, Sendable {
        case never
        case answered
        case troubled(failures: Int)
        case misconfigured(failures: Int)
    }

    public var next = BootInstant(0)
    public var mood = Mood.never
    /// A TLS failure that the box's own clock explains: ask again as soon as the clock is set.
    public var awaitsClock = false
    /// When the server last answered.
    public var lastAnswer: WallTime?
    /// Starts of the box since then, this one included. Nil in what an older agent stored.
    public var unansweredBoots: Int?
    /// Questions in a row of which nobody heard what came of them: an agent that does not survive the answer must not ask
    /// again with each restart, at once and for ever.
    public var unheard = 0
    /// A worker is asking. Not stored: a restart asks again.
    public var isRunning = false

    enum CodingKeys: String, CodingKey { case next, mood, awaitsClock, lastAnswer, unansweredBoots, unheard }

    /// Whether the box must not miss its next chance to ask.
    var isEager: Bool { lastAnswer == nil || (unansweredBoots ?? 0) >= PollSchedule.unansweredBoots }

    var failures: Int {
        switch mood {
        case .never, .answered: 0
        case .troubled(let failures), .misconfigured(let failures): failures
        }
    }
}

/// The offer being worked on.
public struct Work: Codable, Hashable, Sendable {
    /// What is being done about the offer; docs/states.md has which follows which.
    public enum Step: Codable, Hashable, Sendable {
        case downloading
        case consent
        /// What comes next, the download or the installation, is held back (``Hold``).
        case ready
        case installing(InstallID)
        /// The box must restart to finish, or to get back to the version before.
        case restartReady(InstallID, isRollback: Bool, since: BootInstant)
        case restarting(InstallID)
        case later(at: BootInstant, why: Delay)
    }

    public enum Delay: Codable, Hashable, Sendable {
        case trouble(Trouble)
        case noSpace(String)
        case noKeys
        case failed(String)
        case cancelled
        /// The installer died; it keeps its own state, and is asked to go on from there.
        case installerLost(InstallID, String)
        /// Somebody does not let the box restart.
        case restartRefused(InstallID, String)

        /// The installation that goes on afterwards.
        var installation: InstallID? {
            switch self {
            case .installerLost(let id, _), .restartRefused(let id, _): id
            case .trouble, .noSpace, .noKeys, .failed, .cancelled: nil
            }
        }
    }

    public var offer: Offer
    public var step: Step
    public var artifact: Artifact?
    public var hasConsent: Bool
    /// When it is to be installed, where somebody said so.
    public var timing: Timing?
    /// Consent to the restart.
    public var mayRestart = false
    /// How often it was deferred.
    public var deferrals = 0
    /// When consent is asked for again.
    public var askAgainAt: BootInstant?
    /// When a forced version is installed, whatever the windows say.
    public var deadline: BootInstant?
    /// When it was taken up: for the history, and for how long it has been held back in this boot.
    public var started: WallTime
    public var since: BootInstant
    /// Downloads in a row that congestion, or a full disk, stopped.
    public var obstacles = 0
    /// What ran when the installation began.
    public var installedBefore: Int?

    /// While consent is waited for and no deferral is left, it is asked for this often.
    public static let reminder: Seconds = 3600

    enum CodingKeys: String, CodingKey {
        case offer, step, artifact, hasConsent, timing, mayRestart, deferrals, askAgainAt, deadline, started, since
        case obstacles, installedBefore
    }

    public init(offer: Offer, step: Step, hasConsent: Bool, started: WallTime, since: BootInstant) {
        self.offer = offer
        self.step = step
        self.hasConsent = hasConsent
        self.started = started
        self.since = since
    }

    var isForced: Bool { offer.upgradeType == .forced }

    /// The installation has not begun.
    var isCancellable: Bool {
        switch step {
        case .later(_, let why): why.installation == nil
        case .installing, .restartReady, .restarting: false
        case .downloading, .consent, .ready: true
        }
    }

    /// Nothing is under way: a poll may replace or refresh the offer.
    var isWaiting: Bool {
        switch step {
        case .later(_, let why): why.installation == nil
        case .consent, .ready: true
        case .downloading, .installing, .restartReady, .restarting: false
        }
    }
}

/// How often a version failed on this box.
public struct Trial: Codable, Hashable, Sendable {
    public var versionCode: Int
    public var failures: Int
    public var reason: String

    public static let remembered = 8

    init(versionCode: Int, failures: Int, reason: String) {
        self.versionCode = versionCode
        self.failures = failures
        self.reason = reason.forPeople(limit: AgentState.errorLimit)
    }

    enum CodingKeys: String, CodingKey { case versionCode, failures, reason }
}

extension AgentState {
    func failures(of versionCode: Int) -> Int {
        trials.first { $0.versionCode == versionCode }?.failures ?? 0
    }

    mutating func countFailure(of versionCode: Int, _ reason: String) {
        let failures = failures(of: versionCode) + 1
        trials.removeAll { $0.versionCode == versionCode }
        trials.append(Trial(versionCode: versionCode, failures: failures, reason: reason))
        if trials.count > Trial.remembered { trials.removeFirst() }
    }
}
