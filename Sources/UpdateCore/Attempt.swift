/// One entry of the history: the outcome of an offer, or of one attempt to install it.
public struct Attempt: Codable, Hashable, Sendable {
    public enum Result: String, Codable, CaseIterable, Sendable {
        case installed
        case rolledBack
        case failed
        /// The verification failed, or the installer refused the file.
        case refused
        /// The file is not available.
        case gone
        case rejected
        /// A newer offer replaced it.
        case replaced
        /// The offer no longer applies, because the installed version or the configuration changed. Also a result that only
        /// another version knows.
        case dropped
        /// The installation ended for a reason that is not the version's fault, and is tried again.
        case interrupted
    }

    public var versionCode: Int
    public var versionName: String
    public var upgradeType: String
    public var started: WallTime
    public var ended: WallTime
    /// The size of the verified artifact; 0 if there is none.
    public var bytes: ByteCount
    public var result: Result
    public var reason: String
    /// The same for programs. Nil if the version was installed, or if an older agent recorded the attempt.
    public var reasonCode: ReasonCode?
    /// Where the offer came from. Nil if an older agent recorded the attempt.
    public var source: Offer.Source?

    /// The number of entries in the history.
    public static let remembered = 50

    enum CodingKeys: String, CodingKey {
        case versionCode, versionName, upgradeType, started, ended, bytes, result, reason, reasonCode, source
    }
}

extension Machine {
    /// Adds an attempt to the history and announces it.
    ///
    /// - Parameter reason: nil for a success.
    mutating func record(_ work: Work, _ result: Attempt.Result, _ reason: Reason?) {
        let attempt = Attempt(
            versionCode: work.offer.versionCode, versionName: work.offer.versionName,
            upgradeType: work.offer.upgradeType.name, started: work.started, ended: reportTime,
            bytes: work.artifact?.size ?? 0, result: result, reason: reason?.text.sanitized(limit: 300) ?? "",
            reasonCode: reason?.code, source: work.offer.source)
        state.history.append(attempt)
        if state.history.count > Attempt.remembered { state.history.removeFirst() }
        effects.append(.announce(.finished(attempt)))
    }
}
