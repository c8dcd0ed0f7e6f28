import Dispatch
import Glibc
import Synchronization

/// Ends a process that takes too long: SIGTERM at its time limit, SIGKILL two seconds later.
final class Deadline: Sendable {
    private struct State {
        var passed = false
        var timer: Task<Void, Never>?
    }

    private let limit: Duration
    private let state = Mutex(State())

    init(_ limit: Duration) { self.limit = limit }

    func start(_ send: @escaping @Sendable (CInt) -> Void) {
        let timer = Task(priority: .medium) { [limit] in
            do {
                try await Task.sleep(for: limit)
                state.withLock { $0.passed = true }
                send(SIGTERM)
                try await Task.sleep(for: .seconds(2))
                send(SIGKILL)
            } catch {
                // Lifted: the process ended in time.
            }
        }
        state.withLock { $0.timer = timer }
    }

    func lift() { state.withLock { $0.timer?.cancel() } }

    var hasPassed: Bool { state.withLock { $0.passed } }
}
