/// Whether the device is in use, as it was at one moment.
public struct Activity: Codable, Hashable, Sendable {
    public var observed: BootInstant
    /// Since when the device has not been used; nil if it is in use, or if that is unknown.
    public var idleSince: BootInstant?
    /// Who or what uses the device, for the status.
    public var reason: String?
    /// The user of a session that never says whether it is idle.
    public var silentUser: String?

    /// A decision needs an observation that is not older than this, in seconds.
    static let lifetime: Seconds = 5

    func isFresh(_ now: BootInstant) -> Bool { now - observed <= Self.lifetime }

    public init(
        observed: BootInstant, idleSince: BootInstant?, reason: String? = nil, silentUser: String? = nil
    ) {
        self.observed = observed
        self.idleSince = idleSince
        self.reason = reason?.sanitized(limit: 200)
        self.silentUser = silentUser?.sanitized(limit: 64)
    }

    /// - Parameters:
    ///   - logins: nil if logind runs but did not say.
    ///   - lastUse: when the agent itself last noticed a user.
    public init(observed: BootInstant, _ logins: Logins?, lastUse: BootInstant) {
        guard let logins else {
            self.init(observed: observed, idleSince: nil, reason: "logind does not say who is active")
            return
        }
        if let inhibitor = logins.inhibitor {
            self.init(observed: observed, idleSince: nil, reason: "\(inhibitor) inhibits it")
            return
        }
        var since = lastUse
        for session in logins.sessions {
            switch session.use {
            case .active:
                self.init(observed: observed, idleSince: nil, reason: "\(session.user) is active")
                return
            case .unknown:
                let reason = "the session of \(session.user) does not report idleness"
                self.init(observed: observed, idleSince: nil, reason: reason, silentUser: session.user)
                return
            case .idle(let moment): since = max(since, moment)
            }
        }
        self.init(observed: observed, idleSince: since)
    }
}

/// Who is logged in, as logind says.
public struct Logins: Hashable, Sendable {
    public enum Use: Hashable, Sendable {
        case active
        case idle(since: BootInstant)
        /// The session has never said.
        case unknown
    }

    public struct Session: Hashable, Sendable {
        public var user: String
        public var use: Use

        public init(user: String, use: Use) {
            self.user = user
            self.use = use
        }
    }

    public var sessions: [Session]
    /// Who holds an inhibitor of logind against a shutdown or against idleness.
    public var inhibitor: String?

    public init(sessions: [Session] = [], inhibitor: String? = nil) {
        self.sessions = sessions
        self.inhibitor = inhibitor
    }
}
