import UpdateCore

/// How often the listener may start an installer: a burst, then one each second, and only a few at the same time. Connections
/// that must wait stay in the socket's queue, and cost nothing there.
struct StartBudget {
    static let burst = 16
    /// Starts per second after the burst.
    static let rate = 1.0
    /// Installers that run at the same time. All but one of them wait for the directory.
    static let atOnce = 4

    private var left = Double(Self.burst)
    private var counted: BootInstant
    private(set) var running = 0

    init(now: BootInstant) { counted = now }

    /// Seconds until the next start; 0 if it may happen now, nil if an installer must end first.
    mutating func delay(now: BootInstant) -> Seconds? {
        refill(now)
        guard running < Self.atOnce else { return nil }
        return left >= 1 ? 0 : (1 - left) / Self.rate
    }

    mutating func countStart(now: BootInstant) {
        refill(now)
        left = max(left - 1, 0)
        running += 1
    }

    mutating func countEnd() { running = max(running - 1, 0) }

    private mutating func refill(_ now: BootInstant) {
        let passed: Seconds = now - counted
        left = min(left + max(passed, 0) * Self.rate, Double(Self.burst))
        counted = now
    }
}

/// Counts refused connections, so that a flood of them does not fill the journal: the first one is logged, and then their number
/// at most once a minute.
struct RefusalCount {
    static let pause: Seconds = 60

    private var unlogged = 0
    private var logged: BootInstant?

    /// - Returns: a line for the log, or nil.
    mutating func add(_ reason: String, now: BootInstant) -> String? {
        if let logged, now - logged < Self.pause {
            unlogged += 1
            return nil
        }
        let before = rest
        logged = now
        unlogged = 0
        return before.map { "\(reason); \($0)" } ?? reason
    }

    /// The number of refusals that no line has named yet; nil if there are none.
    var rest: String? { unlogged > 0 ? "\(unlogged) more were refused like this before" : nil }
}
