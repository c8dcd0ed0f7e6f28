import Dispatch
import Glibc
import Synchronization

/// Calls a handler once, after a time, unless it is cancelled before.
///
/// A task that sleeps leaves its timer behind when it is cancelled, and the wake-up with it; this leaves nothing.
final class Alarm: Sendable {
    private let timer: Mutex<(any DispatchSourceTimer)?>

    init(after time: Duration, _ handler: @escaping @Sendable () -> Void) {
        let timer = DispatchSource.makeTimerSource(queue: .global())
        timer.setEventHandler(handler: handler)
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        timer.schedule(deadline: .now() + seconds, leeway: .milliseconds(50))
        timer.activate()
        self.timer = Mutex(timer)
    }

    func cancel() {
        timer.withLock { timer in
            timer?.cancel()
            timer = nil
        }
    }
}

/// Ends a process that takes too long: SIGTERM at its time limit, SIGKILL two seconds later.
final class Deadline: Sendable {
    private struct State {
        var passed = false
        var alarms: [Alarm] = []
    }

    private let limit: Duration
    private let state = Mutex(State())

    init(_ limit: Duration) { self.limit = limit }

    func start(_ send: @escaping @Sendable (CInt) -> Void) {
        let alarms = [
            Alarm(after: limit) { [self] in
                state.withLock { $0.passed = true }
                send(SIGTERM)
            },
            Alarm(after: limit + .seconds(2)) { send(SIGKILL) },
        ]
        state.withLock { $0.alarms = alarms }
    }

    func lift() {
        state.withLock { state in
            state.alarms.forEach { $0.cancel() }
            state.alarms = []
        }
    }

    var hasPassed: Bool { state.withLock { $0.passed } }
}
