import Host
public import UpdateCore

/// The operator's check that the device works after an update. It runs once a second until it succeeds or the time limit is
/// reached.
public struct HealthCheck: Hashable, Sendable {
    /// A program and its arguments (`install.healthProgram`). Exit status 0 means healthy; an empty list means no program.
    public var program: [String]
    /// Units that must be active (`install.healthUnits`; systemctl(1), `is-active`).
    public var units: [String]
    /// Seconds until the check has failed (`install.healthTimeout`).
    public var timeLimit: Seconds

    private static let pause: Seconds = 1
    private static let systemctl = "/usr/bin/systemctl"

    public init(program: [String] = [], units: [String] = [], timeLimit: Seconds = 300) {
        self.program = program
        self.units = units
        self.timeLimit = timeLimit
    }

    /// - Parameter log: called with each line that the program prints.
    @MainActor func run(
        log: @escaping @MainActor (String) -> Void, then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        attempt(until: Clock.bootTime + timeLimit, log, done)
    }

    @MainActor private func attempt(
        until deadline: BootInstant, _ log: @escaping @MainActor (String) -> Void,
        _ done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        checkUnits(units[...], deadline, log) { complaint in
            guard let complaint else { return done(.succeeded) }
            guard deadline - Clock.bootTime > 0 else {
                return done(.failed("the device is not healthy after \(describe(timeLimit)): \(complaint)"))
            }
            MainQueue.after(Self.pause) { attempt(until: deadline, log, done) }
        }
    }

    /// - Parameter done: called with the current problem, or nil if there is none.
    @MainActor private func checkUnits(
        _ units: ArraySlice<String>, _ deadline: BootInstant, _ log: @escaping @MainActor (String) -> Void,
        _ done: @escaping @MainActor (String?) -> Void
    ) {
        guard let unit = units.first else { return checkProgram(deadline, log, done) }
        var state = "unknown"
        ChildProcess.start(
            Program(
                Self.systemctl, ["is-active", "--", unit], streams: .captured, workingDirectory: "/", timeLimit: 10),
            onLine: { state = $0.sanitized(limit: 40) }, onErrorLine: log
        ) { end in
            if end.succeeded {
                checkUnits(units.dropFirst(), deadline, log, done)
            } else {
                done("\(unit) is \(state)")
            }
        }
    }

    @MainActor private func checkProgram(
        _ deadline: BootInstant, _ log: @escaping @MainActor (String) -> Void,
        _ done: @escaping @MainActor (String?) -> Void
    ) {
        guard let path = program.first else { return done(nil) }
        ChildProcess.start(
            Program(
                path, Array(program.dropFirst()), streams: .captured, workingDirectory: "/",
                timeLimit: max(1, deadline - Clock.bootTime)), onLine: log, onErrorLine: log
        ) { end in
            done(end.succeeded ? nil : "\(path): \(end)")
        }
    }
}
