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
    public var serverClock: ServerClock?
    /// The version that was committed last; an appointed version is not installed over itself again and again.
    public var lastCommitted: Int?
    /// One line about what last went wrong, until something goes right.
    public var lastError: String?

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
    /// A worker is asking. Not stored: a restart asks again.
    public var isRunning = false

    private enum CodingKeys: String, CodingKey { case next, mood, awaitsClock }

    var failures: Int {
        switch mood {
        case .never, .answered: 0
        case .troubled(let failures), .misconfigured(let failures): failures
        }
    }
}

/// The offer being worked on.
public struct Work: Codable, Hashable, Sendable {
    /// What is being done about the offer. Legal successors:
    /// - downloading → consent, installing, later, (ended)
    /// - consent → downloading, installing, (ended)
    /// - installing → restarting, later, (ended)
    /// - restarting → installing (after the boot)
    /// - later → downloading, consent, installing
    public enum Step: Codable, Hashable, Sendable {
        case downloading
        case consent
        case installing(InstallID)
        case restarting(InstallID)
        case later(at: BootInstant, why: Delay)
    }

    public enum Delay: Codable, Hashable, Sendable {
        case trouble(Trouble)
        case noSpace(String)
        case noKeys
        case failed(String)
        /// The installer died; it keeps its own state, and is asked to go on from there.
        case installerLost(InstallID, String)
    }

    public var offer: Offer
    public var step: Step
    public var artifact: Artifact?
    public var hasConsent: Bool
    /// Downloads in a row that congestion, or a full disk, stopped.
    public var obstacles = 0
    /// What ran when the installation began.
    public var installedBefore: Int?

    public init(offer: Offer, step: Step, hasConsent: Bool) {
        self.offer = offer
        self.step = step
        self.hasConsent = hasConsent
    }

    /// Nothing is under way: a poll may replace or refresh the offer.
    var isWaiting: Bool {
        switch step {
        case .later(_, .installerLost): false
        case .consent, .later: true
        case .downloading, .installing, .restarting: false
        }
    }
}

/// How often a version failed on this box.
public struct Trial: Codable, Hashable, Sendable {
    public var versionCode: Int
    public var failures: Int
    public var reason: String

    public static let remembered = 8
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
