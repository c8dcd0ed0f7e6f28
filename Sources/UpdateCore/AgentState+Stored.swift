// Reads and writes the stored state. An older or a newer version may have written the file (StoredFormat). The offer, the
// failure counts, the rejected versions, the deferrals and the history survive unknown fields.

extension AgentState {
    private enum CodingKeys: String, CodingKey {
        case format, bootID, poll, work, trials, rejected, reports, history, serverClock, lastCommitted, lastError
        case lastErrorCode
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
        // An earlier version may have stored the address of a proxy with its password.
        if let error = fields.optional(.lastError, String.self) {
            note(Reason(error.withoutUserInfo, fields.value(.lastErrorCode, or: .unknown)))
        }
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
        try fields.encodeIfPresent(lastErrorCode, forKey: .lastErrorCode)
    }
}

extension Poll {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        next = fields.value(.next, or: BootInstant(0))
        outcome =
            switch fields.value(.outcome, or: Outcome.never) {
            case .failing(let failures): .failing(failures: failures.boundedCount)
            case .misconfigured(let failures): .misconfigured(failures: failures.boundedCount)
            case let other: other
            }
        awaitsClock = fields.value(.awaitsClock, or: false)
        clockOffset = fields.optional(.clockOffset)
        lastResponse = fields.optional(.lastResponse)
        bootsWithoutResponse = fields.optional(.bootsWithoutResponse, Int.self)?.boundedCount
        unheard = min(max(fields.value(.unheard, or: 0), 0), 31)
        isOfferHeld = fields.optional(.isOfferHeld)
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
        mayReboot = fields.value(.mayReboot, or: false)
        deferrals = fields.value(.deferrals, or: 0).boundedCount
        askAgainAt = fields.optional(.askAgainAt)
        deadline = fields.optional(.deadline)
        pause = fields.optional(.pause)
        grace = fields.optional(.grace)
        windowWait = fields.optional(.windowWait)
        started = fields.value(.started, or: WallTime(unixSeconds: 0))
        since = fields.value(.since, or: BootInstant(0))
        obstacles = fields.value(.obstacles, or: 0).boundedCount
        obstaclesSince = fields.optional(.obstaclesSince)
        goneSince = fields.optional(.goneSince)
        received = max(fields.value(.received, or: 0), 0)
        fileSize = max(fields.value(.fileSize, or: 0), 0)
        hasReportedRefusal = fields.value(.hasReportedRefusal, or: false)
        installedBefore = fields.optional(.installedBefore)
        rebootWait = fields.optional(.rebootWait)
        isCancelled = fields.optional(.isCancelled)
        artifactLosses = fields.optional(.artifactLosses, Int.self)?.boundedCount
    }

    /// A step that only another version knows. If it names an installation, the installer resumes that. If it names a moment,
    /// the offer waits until then. Otherwise the agent decides anew about the offer (``Step/ready``).
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
                let reason = "the reason was stored by another version of upgradelinkd"
                step = fields?.at.map { .later(at: $0, why: .transientError(.worker(reason))) }
            }
        }
    }
}

extension Trial {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        versionCode = try fields.required(.versionCode)
        failures = fields.value(.failures, or: 1).boundedCount
        reason = fields.value(.reason, or: "").withoutUserInfo.sanitized(limit: AgentState.errorLimit)
        reasonCode = fields.optional(.reasonCode)
    }
}

extension Attempt {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        versionCode = try fields.required(.versionCode)
        versionName = fields.value(.versionName, or: "\(versionCode)").sanitized(limit: 128)
        upgradeType = fields.value(.upgradeType, or: "").sanitized(limit: 64)
        started = fields.value(.started, or: WallTime(unixSeconds: 0))
        ended = fields.value(.ended, or: WallTime(unixSeconds: 0))
        bytes = fields.value(.bytes, or: 0)
        let text = fields.value(.reason, or: "")
        let known: Result? = fields.optional(.result)
        result = known ?? .dropped
        let other = known == nil ? fields.value(.result, or: "unknown") : ""
        reason = [other, text].filter { !$0.isEmpty }.joined(separator: ": ").withoutUserInfo.sanitized(limit: 300)
        reasonCode = fields.optional(.reasonCode)
        source = fields.optional(.source)
    }
}

extension ReportQueue {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        let entries: [Entry] = fields.list(.entries, limit: Self.capacity)
        let stored = fields.value(.nextID, or: 1)
        let next = (1..<Self.highestID).contains(stored) ? stored : 1
        let notBefore = fields.value(.notBefore, or: BootInstant(0))
        self.init(entries, nextID: max(next, (entries.map(\.id).max() ?? 0) + 1), notBefore: notBefore)
    }
}

extension ReportQueue.Entry {
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        id = try fields.required(.id)
        guard (0..<ReportQueue.highestID).contains(id) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "the id of a report is impossible"))
        }
        report = try fields.required(.report)
        tries = fields.value(.tries, or: 0).boundedCount
        due = fields.optional(.due)
    }
}

extension Int {
    /// A stored count. A higher one is damage, and must not overflow when it is counted on.
    fileprivate var boundedCount: Int { Swift.min(Swift.max(self, 0), 1_000_000) }
}

// Texts of other processes are cut before they are stored, because the stored file must not exceed its reader's size limit.

extension String {
    fileprivate var bounded: String { withoutUserInfo.sanitized(limit: AgentState.errorLimit) }
}

extension TransientError {
    var bounded: TransientError {
        switch self {
        case .rateLimited: self
        case .server(let status, let detail, let retryAfter):
            .server(status: status, detail: detail.bounded, retryAfter: retryAfter)
        case .network(let text): .network(text.bounded)
        case .tls(let text): .tls(text.bounded)
        case .unreadable(let text): .unreadable(text.bounded)
        case .worker(let text): .worker(text.bounded)
        case .file(let text, let retryAfter, let code): .file(text.bounded, retryAfter: retryAfter, code: code)
        }
    }
}

extension CheckResponse {
    var bounded: CheckResponse {
        if case .transientError(let error) = self { .transientError(error.bounded) } else { self }
    }
}

extension DownloadResult {
    var bounded: DownloadResult {
        switch self {
        case .verified: self
        case .gone(let text): .gone(text.bounded)
        case .refused(let text, let code): .refused(text.bounded, code: code)
        case .noSpace(let text): .noSpace(text.bounded)
        case .transientError(let transientError): .transientError(transientError.bounded)
        }
    }
}

extension InstallResult {
    var bounded: InstallResult {
        switch self {
        case .committed, .needsReboot, .rebooting, .unknown: self
        case .rolledBack(let text, let code): .rolledBack(text.bounded, code: code)
        case .failed(let text, let code): .failed(text.bounded, code: code)
        case .refused(let text, let code): .refused(text.bounded, code: code)
        case .noSpace(let text): .noSpace(text.bounded)
        case .interrupted(let text, let code): .interrupted(text.bounded, code: code)
        case .artifactLost(let text): .artifactLost(text.bounded)
        case .rebootRefused(let text): .rebootRefused(text.bounded)
        case .lost(let text): .lost(text.bounded)
        }
    }
}
