import Host
import UpdateCore

/// When the agent's timer fires.
nonisolated enum WakeUp {
    /// The time between two attempts to store a state.
    static let storageRetry: Seconds = 10
    /// A moment that stays in the past must not cause a busy loop.
    static let minimum: Seconds = 0.01

    /// - Parameters:
    ///   - next: when something is due.
    ///   - isStored: whether the state could be stored. If not, what is due waits for that as well.
    /// - Returns: nil if nothing is due.
    static func delay(until next: BootInstant?, now: BootInstant, isStored: Bool) -> Seconds? {
        guard isStored else { return storageRetry }
        return next.map { max($0 - now, minimum) }
    }
}
