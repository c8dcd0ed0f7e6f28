// How the state is read from the file that this version, an older or a newer one wrote (StoredFormat). The offer, failure
// counts, rejected versions, deferrals and the history survive whatever else is not known here.

extension AgentState {
    private enum CodingKeys: String, CodingKey {
        case format, bootID, poll, work, trials, rejected, reports, history, serverClock, lastCommitted, lastError
    }

    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        bootID = fields.value(.bootID, or: "")
        poll = fields.value(.poll, or: Poll())
        work = fields.optional(.work)
        trials = fields.list(.trials, limit: Trial.remembered)
        rejected = fields.list(.rejected, limit: Trial.remembered)
        reports = fields.value(.reports, or: ReportQueue())
        history = fields.list(.history, limit: Attempt.remembered)
        serverClock = fields.optional(.serverClock)
        lastCommitted = fields.optional(.lastCommitted)
        lastError = fields.optional(.lastError, String.self)?.forPeople(limit: Self.errorLimit)
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(StoredFormat.current, forKey: .format)
        try fields.encode(bootID, forKey: .bootID)
        try fields.encode(poll, forKey: .poll)
        try fields.encodeIfPresent(work, forKey: .work)
        try fields.encode(trials, forKey: .trials)
        try fields.encode(rejected, forKey: .rejected)
        try fields.encode(reports, forKey: .reports)
        try fields.encode(history, forKey: .history)
        try fields.encodeIfPresent(serverClock, forKey: .serverClock)
        try fields.encodeIfPresent(lastCommitted, forKey: .lastCommitted)
        try fields.encodeIfPresent(lastError, forKey: .lastError)
    }
}

extension Poll {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        next = fields.value(.next, or: BootInstant(0))
        mood = fields.value(.mood, or: .never)
        awaitsClock = fields.value(.awaitsClock, or: false)
        lastAnswer = fields.optional(.lastAnswer)
        unansweredBoots = fields.optional(.unansweredBoots)
        unheard = min(max(fields.value(.unheard, or: 0), 0), 31)
    }
}

extension Work {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        offer = try fields.required(.offer)
        step = fields.optional(.step) ?? fields.optional(.step, UnknownStep.self)?.step ?? .ready
        artifact = fields.optional(.artifact)
        hasConsent = fields.value(.hasConsent, or: !offer.upgradeType.needsConsent)
        timing = fields.optional(.timing)
        mayRestart = fields.value(.mayRestart, or: false)
        deferrals = max(fields.value(.deferrals, or: 0), 0)
        askAgainAt = fields.optional(.askAgainAt)
        deadline = fields.optional(.deadline)
        started = fields.value(.started, or: WallTime(unixSeconds: 0))
        since = fields.value(.since, or: BootInstant(0))
        obstacles = max(fields.value(.obstacles, or: 0), 0)
        installedBefore = fields.optional(.installedBefore)
    }

    /// A step of another version, as far as it tells how to continue: by asking the installer about the installation that it
    /// names, or at the moment that it names. Else everything about the offer is decided anew (``Step/ready``).
    private struct UnknownStep: Decodable {
        let step: Step?

        private struct Fields: Decodable {
            let id: InstallID?
            let at: BootInstant?

            enum CodingKeys: String, CodingKey { case id = "_0", at }

            init(from decoder: any Decoder) throws {
                let fields = try StoredFields(decoder, CodingKeys.self)
                id = fields.optional(.id)
                at = fields.optional(.at)
            }
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.singleValueContainer().decode([String: Fields].self).values.first
            if let id = fields?.id {
                step = .installing(id)
            } else {
                step = fields?.at.map {
                    .later(at: $0, why: .trouble(.worker("another version of upgradelinkd stored why")))
                }
            }
        }
    }
}

extension Trial {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        versionCode = try fields.required(.versionCode)
        failures = max(fields.value(.failures, or: 1), 0)
        reason = fields.value(.reason, or: "").forPeople(limit: AgentState.errorLimit)
    }
}

extension Attempt {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        versionCode = try fields.required(.versionCode)
        versionName = fields.value(.versionName, or: "\(versionCode)").forPeople(limit: 128)
        upgradeType = fields.value(.upgradeType, or: "").forPeople(limit: 64)
        started = fields.value(.started, or: WallTime(unixSeconds: 0))
        ended = fields.value(.ended, or: WallTime(unixSeconds: 0))
        bytes = fields.value(.bytes, or: 0)
        let text = fields.value(.reason, or: "")
        let known: Result? = fields.optional(.result)
        result = known ?? .dropped
        let other = known == nil ? fields.value(.result, or: "unknown") : ""
        reason = [other, text].filter { !$0.isEmpty }.joined(separator: ": ").forPeople(limit: 300)
    }
}

extension ReportQueue {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        let entries: [Entry] = fields.list(.entries, limit: Self.capacity)
        let next = fields.value(.nextID, or: 1)
        let notBefore = fields.value(.notBefore, or: BootInstant(0))
        self.init(entries, nextID: max(next, (entries.map(\.id).max() ?? 0) &+ 1), notBefore: notBefore)
    }
}

extension ReportQueue.Entry {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        id = try fields.required(.id)
        report = try fields.required(.report)
        tries = max(fields.value(.tries, or: 0), 0)
        due = fields.optional(.due)
    }
}

// What comes from another process is bounded before it is kept: what is written must not be longer than what is read.

extension String {
    fileprivate var bounded: String { forPeople(limit: AgentState.errorLimit) }
}

extension Trouble {
    var bounded: Trouble {
        switch self {
        case .rateLimited: self
        case .server(let status, let detail, let retryAfter):
            .server(status: status, detail: detail.bounded, retryAfter: retryAfter)
        case .network(let text): .network(text.bounded)
        case .tls(let text): .tls(text.bounded)
        case .unreadable(let text): .unreadable(text.bounded)
        case .worker(let text): .worker(text.bounded)
        }
    }
}

extension Answer {
    var bounded: Answer { if case .trouble(let trouble) = self { .trouble(trouble.bounded) } else { self } }
}

extension DownloadResult {
    var bounded: DownloadResult {
        switch self {
        case .verified: self
        case .gone(let text): .gone(text.bounded)
        case .refused(let text): .refused(text.bounded)
        case .noSpace(let text): .noSpace(text.bounded)
        case .trouble(let trouble): .trouble(trouble.bounded)
        }
    }
}

extension InstallResult {
    var bounded: InstallResult {
        switch self {
        case .committed, .needsRestart, .restarting, .unknown: self
        case .rolledBack(let text): .rolledBack(text.bounded)
        case .failed(let text): .failed(text.bounded)
        case .refused(let text): .refused(text.bounded)
        case .noSpace(let text): .noSpace(text.bounded)
        case .restartRefused(let text): .restartRefused(text.bounded)
        case .lost(let text): .lost(text.bounded)
        }
    }
}
