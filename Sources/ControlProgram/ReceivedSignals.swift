import Glibc
import Synchronization

/// Signals that a loop without the main queue asks for. A blocking call returns when one arrives.
enum ReceivedSignals {
    /// A bit for each signal. The handler may interrupt any code, so it does nothing but set a bit.
    private static let pending = Atomic<UInt64>(0)

    /// From now on, these signals only set their bit.
    static func note(_ numbers: CInt...) {
        // A handler must not be the first to use it, which would initialise it.
        pending.store(0, ordering: .relaxed)
        for number in numbers {
            var action = sigaction()
            // No SA_RESTART: the signal ends a wait.
            action.__sigaction_handler = .init(sa_handler: { number in
                ReceivedSignals.pending.bitwiseOr(1 << UInt64(number), ordering: .relaxed)
            })
            sigaction(number, &action, nil)
        }
    }

    /// Whether the signal has arrived since the last call.
    static func take(_ number: CInt) -> Bool {
        let bit: UInt64 = 1 << UInt64(number)
        return pending.bitwiseAnd(~bit, ordering: .relaxed).oldValue & bit != 0
    }

    /// The signal that asks this program to end, if one has arrived.
    static var end: CInt? { [SIGINT, SIGTERM, SIGHUP].first { take($0) } }
}
