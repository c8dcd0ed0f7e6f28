import Host
public import UpdateCore

/// The operator's check that the device works after an update. It runs once a second until it succeeds or the time limit is
/// reached.
public struct HealthCheck: Hashable, Sendable {
    /// A program and its arguments (`install.healthProgram`). Exit status 0 means healthy; an empty list means no program.
    public var program: [String]
    /// Units that must be active, and must have been so for ``settleTime`` (`install.healthUnits`).
    public var units: [String]
    /// Seconds without a start, a restart or an end of each unit (`install.healthSettle`): a program that ends at once, and is
    /// started again and again, is active now and then.
    public var settleTime: Seconds
    /// Seconds until the check has failed (`install.healthTimeout`).
    public var timeLimit: Seconds

    private static let pause: Seconds = 1
    private static let systemctl = "/usr/bin/systemctl"

    public init(
        program: [String] = [], units: [String] = [], settleTime: Seconds = 10, timeLimit: Seconds = 300
    ) {
        self.program = program
        self.units = units
        self.settleTime = settleTime
        self.timeLimit = timeLimit
    }

    /// - Parameters:
    ///   - permitted: how the agent may be absent; it may change during the check.
    ///   - log: called with each line that the program prints.
    @MainActor func run(
        permitted: @escaping @MainActor () -> AgentUnit.Permission = { [] }, log: @escaping @MainActor (String) -> Void,
        then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        attempt(
            Attempt(
                deadline: Clock.monotonicMicroseconds + UInt64(min(timeLimit, 1e9) * 1e6), permitted: permitted,
                log: log,
                done: done))
    }

    /// - Parameter done: called with the units that do not run, though they were not stopped, disabled or masked.
    @MainActor func findUnitsThatDoNotRun(
        permitted: @escaping @MainActor () -> AgentUnit.Permission, then done: @escaping @MainActor ([String]) -> Void
    ) {
        find(units[...], permitted, [], done)
    }

    @MainActor private func find(
        _ rest: ArraySlice<String>, _ permitted: @escaping @MainActor () -> AgentUnit.Permission, _ found: [String],
        _ done: @escaping @MainActor ([String]) -> Void
    ) {
        guard let unit = rest.first else { return done(found) }
        Self.show(unit, log: { _ in }) { state in
            let isMissing = Self.isMissing(unit, state, permitted)
            find(rest.dropFirst(), permitted, found + (isMissing ? [unit] : []), done)
        }
    }

    /// Whether a unit does not run, though it was not stopped, disabled or masked.
    static func isMissing(_ unit: String, _ state: UnitState?, _ permitted: () -> AgentUnit.Permission) -> Bool {
        guard let state, !state.isActive, state.isLoaded else { return false }
        return unit != AgentUnit.name || state.absence(permitted()) == nil
    }

    @MainActor private final class Attempt {
        /// Microseconds of CLOCK_MONOTONIC, which stops in standby as the settle time of the units does.
        let deadline: UInt64
        let permitted: @MainActor () -> AgentUnit.Permission
        let log: @MainActor (String) -> Void
        let done: @MainActor (StepOutcome) -> Void

        private var noted: Set<String> = []

        init(
            deadline: UInt64, permitted: @escaping @MainActor () -> AgentUnit.Permission,
            log: @escaping @MainActor (String) -> Void, done: @escaping @MainActor (StepOutcome) -> Void
        ) {
            (self.deadline, self.permitted, self.log, self.done) = (deadline, permitted, log, done)
        }

        /// The check is repeated, and the log says it once.
        func noteOnce(_ line: String) { if noted.insert(line).inserted { log(line) } }

        /// At least one.
        var secondsLeft: Seconds {
            let now = Clock.monotonicMicroseconds
            return max(1, deadline > now ? Seconds(deadline - now) / 1e6 : 0)
        }
    }

    /// Why the device is not healthy now.
    private enum Problem {
        case complaint(String)
        case agentStopped
    }

    @MainActor private func attempt(_ current: Attempt) {
        checkUnits(units[...], current) { problem in
            switch problem {
            case nil: return current.done(.succeeded)
            case .agentStopped?: return current.done(.agentStopped)
            case .complaint(let complaint)?:
                guard current.deadline > Clock.monotonicMicroseconds else {
                    return current.done(
                        .failed("the device is not healthy after \(describe(timeLimit)): \(complaint)"))
                }
                MainQueue.after(Self.pause) { attempt(current) }
            }
        }
    }

    /// - Parameter done: called with the current problem, or nil if there is none.
    @MainActor private func checkUnits(
        _ units: ArraySlice<String>, _ current: Attempt, _ done: @escaping @MainActor (Problem?) -> Void
    ) {
        guard let unit = units.first else { return checkProgram(current, done) }
        Self.show(unit, log: current.log) { state in
            guard let state else { return done(.complaint("\(unit): systemctl show failed")) }
            let complaint = state.complaint(settleTime: settleTime, now: Clock.monotonicMicroseconds)
            let absence = unit == AgentUnit.name ? state.absence(current.permitted()) : nil
            switch (complaint, absence) {
            case (nil, _): break
            case (_, .stopped?): return done(.agentStopped)
            case (_, let absence?): current.noteOnce("\(unit) is \(absence), and is not waited for")
            case (let complaint?, nil): return done(.complaint("\(unit) \(complaint)"))
            }
            checkUnits(units.dropFirst(), current, done)
        }
    }

    /// - Parameter done: called with nil if systemctl failed.
    @MainActor private static func show(
        _ unit: String, log: @escaping @MainActor (String) -> Void, then done: @escaping @MainActor (UnitState?) -> Void
    ) {
        var state = UnitState()
        ChildProcess.start(
            Program(
                systemctl, ["show", "--property=\(UnitState.properties)", "--", unit], streams: .captured,
                workingDirectory: "/", timeLimit: 10),
            onLine: { state.read($0) }, onErrorLine: log
        ) { done($0.succeeded ? state : nil) }
    }

    @MainActor private func checkProgram(
        _ current: Attempt, _ done: @escaping @MainActor (Problem?) -> Void
    ) {
        guard let path = program.first else { return done(nil) }
        // What it asks, such as a web server of the application, is in the network of the device.
        let command = (NetworkNamespace.isPrivate ? NetworkNamespace.leaving : []) + program
        ChildProcess.start(
            Program(
                command[0], Array(command.dropFirst()), streams: .captured, workingDirectory: "/",
                timeLimit: current.secondsLeft), onLine: current.log, onErrorLine: current.log
        ) { end in
            done(end.succeeded ? nil : .complaint("\(path): \(end)"))
        }
    }
}
