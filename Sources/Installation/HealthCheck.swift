import Host
import Synchronization
public import UpdateCore

/// How the operator tells whether a box works after an update: asked again and again until it does, or time is up.
public struct HealthCheck: Hashable, Sendable {
    /// A program and its arguments; exit status 0 is healthy. Empty for none.
    public var program: [String]
    /// Units that must be active (systemctl(1), `is-active`).
    public var units: [String]
    public var timeLimit: Seconds

    private static let pause = Duration.seconds(1)
    private static let systemctl = "/usr/bin/systemctl"

    public init(program: [String] = [], units: [String] = [], timeLimit: Seconds = 300) {
        self.program = program
        self.units = units
        self.timeLimit = timeLimit
    }

    /// - Parameter log: hears what the program prints.
    func run(log: @escaping @Sendable (String) -> Void) async -> StepOutcome {
        let deadline = Clock.bootTime + timeLimit
        while let complaint = await complaint(deadline, log) {
            guard deadline - Clock.bootTime > 0 else {
                return .failed("the box is not healthy after \(describe(timeLimit)): \(complaint)")
            }
            try? await Task.sleep(for: Self.pause)
        }
        return .succeeded
    }

    /// What is wrong just now, or nil.
    private func complaint(_ deadline: BootInstant, _ log: @escaping @Sendable (String) -> Void) async -> String? {
        for unit in units {
            let state = Mutex("unknown")
            let end = await Program(
                Self.systemctl, ["is-active", "--", unit], workingDirectory: "/", timeLimit: .seconds(10)
            ).run(onOutput: { line in state.withLock { $0 = line.forPeople(limit: 40) } }, onError: log)
            if !end.succeeded { return "\(unit) is \(state.withLock { $0 })" }
        }
        guard let path = program.first else { return nil }
        let left = max(1, deadline - Clock.bootTime)
        let end = await Program(
            path, Array(program.dropFirst()), workingDirectory: "/", timeLimit: .seconds(left)
        ).run(onOutput: log, onError: log)
        return end.succeeded ? nil : "\(path): \(end)"
    }
}
