import Host
import UpdateCore

/// Restarts the units that use what an installation or a rollback has replaced.
@MainActor struct UnitRestart {
    var units: [String]
    /// Seconds for all of them.
    var timeLimit: Seconds

    private static let systemctl = "/usr/bin/systemctl"

    func run(
        _ log: @escaping @MainActor (String) -> Void, then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        guard !units.isEmpty else { return done(.succeeded) }
        // The version may have brought other unit files. A unit that crashed too often would not be started again.
        systemctl(["daemon-reload"], log) { _ in
            systemctl(["reset-failed", "--"] + units, { _ in }) { _ in
                systemctl(["restart", "--"] + units, log) { done($0.map { .failed($0) } ?? .succeeded) }
            }
        }
    }

    /// - Parameter done: called with the reason if it failed.
    private func systemctl(
        _ arguments: [String], _ log: @escaping @MainActor (String) -> Void,
        then done: @escaping @MainActor (String?) -> Void
    ) {
        var firstLine: String?
        ChildProcess.start(
            Program(Self.systemctl, arguments, streams: .captured, workingDirectory: "/", timeLimit: timeLimit),
            onLine: log,
            onErrorLine: { line in
                firstLine = firstLine ?? line.sanitized(limit: 300)
                log(line)
            }
        ) { end in
            done(end.succeeded ? nil : "systemctl \(arguments[0]): \(firstLine ?? "\(end)")")
        }
    }
}

/// The state of the service manager.
@MainActor enum ServiceManagerState {
    /// - Parameter done: called with whether the system shuts down (systemctl(1), `is-system-running`).
    static func isStopping(then done: @escaping @MainActor (Bool) -> Void) {
        var state = ""
        ChildProcess.start(
            Program(
                "/usr/bin/systemctl", ["is-system-running"], streams: .captured, workingDirectory: "/", timeLimit: 10),
            onLine: { state = $0 }
        ) { _ in done(state == "stopping") }
    }
}
