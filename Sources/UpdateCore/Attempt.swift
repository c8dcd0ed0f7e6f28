/// One entry of the history: what became of an offer, or of one try at it.
public struct Attempt: Codable, Hashable, Sendable {
    public enum Result: String, Codable, CaseIterable, Sendable {
        case installed
        case rolledBack
        case failed
        /// The file was not what was signed, or must not be taken.
        case refused
        /// The server does not have the file.
        case gone
        case rejected
        /// A newer offer took its place.
        case replaced
        /// The box came to this version by another way, or the operator's wishes changed.
        case dropped
    }

    public var versionCode: Int
    public var versionName: String
    public var upgradeType: String
    public var started: WallTime
    public var ended: WallTime
    /// Of the artifact, as far as it arrived whole.
    public var bytes: Int
    public var result: Result
    public var reason: String

    public static let remembered = 50

    enum CodingKeys: String, CodingKey {
        case versionCode, versionName, upgradeType, started, ended, bytes, result, reason
    }
}

extension Machine {
    /// Enters a try at an offer into the history, and tells whoever listens.
    mutating func record(_ work: Work, _ result: Attempt.Result, _ reason: String) {
        let attempt = Attempt(
            versionCode: work.offer.versionCode, versionName: work.offer.versionName,
            upgradeType: work.offer.upgradeType.name, started: work.started, ended: reportTime,
            bytes: work.artifact?.size ?? 0, result: result, reason: reason.forPeople(limit: 300))
        state.history.append(attempt)
        if state.history.count > Attempt.remembered { state.history.removeFirst() }
        effects.append(.announce(.finished(attempt)))
    }
}
