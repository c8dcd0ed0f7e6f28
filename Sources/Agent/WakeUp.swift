import Host
import UpdateCore

/// When the agent's timer fires.
nonisolated enum WakeUp {
    /// A moment that stays in the past must not cause a busy loop.
    static let minimum: Seconds = 0.01

    /// - Parameter next: when something is due.
    /// - Returns: nil if nothing is due.
    static func delay(until next: BootInstant?, _ failure: StorageFailure?, now: BootInstant) -> Seconds? {
        (failure?.retry ?? next).map { max($0 - now, minimum) }
    }
}

/// The state could not be stored. What is due, and each event, waits until that is possible.
nonisolated struct StorageFailure {
    /// For the user.
    let text: String
    /// When the agent tries again, if no event comes before.
    let retry: BootInstant

    /// Seconds.
    static let interval: Seconds = 10

    init(_ error: any Error, now: BootInstant) {
        text = "Cannot store the state: \(error)"
        retry = now + Self.interval
    }
}
