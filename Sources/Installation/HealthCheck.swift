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
        var state = UnitState()
        ChildProcess.start(
            Program(
                Self.systemctl, ["show", "--property=\(UnitState.properties)", "--", unit], streams: .captured,
                workingDirectory: "/", timeLimit: 10),
            onLine: { state.read($0) }, onErrorLine: log
        ) { end in
            let complaint =
                end.succeeded
                ? state.complaint(settleTime: settleTime, now: Clock.monotonicMicroseconds) : "systemctl show: \(end)"
            if let complaint { return done("\(unit) \(complaint)") }
            checkUnits(units.dropFirst(), deadline, log, done)
        }
    }

    @MainActor private func checkProgram(
        _ deadline: BootInstant, _ log: @escaping @MainActor (String) -> Void,
        _ done: @escaping @MainActor (String?) -> Void
    ) {
        guard let path = program.first else { return done(nil) }
        // What it asks, such as a web server of the application, is in the network of the device.
        let command = (NetworkNamespace.isPrivate ? NetworkNamespace.leaving : []) + program
        ChildProcess.start(
            Program(
                command[0], Array(command.dropFirst()), streams: .captured, workingDirectory: "/",
                timeLimit: max(1, deadline - Clock.bootTime)), onLine: log, onErrorLine: log
        ) { end in
            done(end.succeeded ? nil : "\(path): \(end)")
        }
    }
}

/// The state of a unit, as `systemctl show` prints it.
struct UnitState: Hashable, Sendable {
    static let properties = "LoadState,ActiveState,ActiveEnterTimestampMonotonic"

    private var values: [String: String] = [:]

    init() {}

    /// - Parameter line: `NAME=VALUE`.
    mutating func read(_ line: String) {
        guard let equals = line.firstIndex(of: "=") else { return }
        values[String(line[..<equals])] = String(line[line.index(after: equals)...]).sanitized(limit: 40)
    }

    /// Why the unit is not healthy; nil if it is. Each start of the unit, also an automatic one, sets the time since which it is
    /// active (org.freedesktop.systemd1(5)).
    ///
    /// - Parameter now: of CLOCK_MONOTONIC, in microseconds.
    func complaint(settleTime: Seconds, now: UInt64) -> String? {
        if values["LoadState"] == "not-found" { return "does not exist" }
        guard let state = values["ActiveState"] else { return "has no state" }
        guard state == "active" else { return "is \(state)" }
        guard let start = values["ActiveEnterTimestampMonotonic"].flatMap({ UInt64($0) }), start <= now else {
            return "does not say since when it is active"
        }
        let age = Seconds(now - start) / 1e6
        guard age < settleTime else { return nil }
        return "has been active for \(describe(age)) only, of \(describe(settleTime)) (install.healthSettle)"
    }
}
