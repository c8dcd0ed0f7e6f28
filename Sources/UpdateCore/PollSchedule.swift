/// When to ask the server again. Pure arithmetic: chance comes in as an argument.
public struct PollSchedule: Codable, Hashable, Sendable {
    /// Between two polls when all is well.
    public var interval: Seconds
    /// The first poll after a start of the box falls anywhere in this span, so that boxes that start together do not ask
    /// together.
    public var splay: Seconds
    /// Upper bound of the first back-off; it doubles with every failure.
    public var backOffBase: Seconds
    /// Upper bound of every back-off.
    public var backOffCap: Seconds

    /// What holds where nothing is configured; tuned by `upgradelink-sim fleet` (docs/performance.md).
    public static let standard = PollSchedule(interval: 21_600, splay: 21_600, backOffBase: 900, backOffCap: 21_600)

    /// A server may ask for this much patience and no more.
    public static let retryAfterLimit: Seconds = 24 * 3600
    /// While an offer waits for consent, or for its download to become possible.
    public static let waitingInterval: Seconds = 24 * 3600
    /// Bounds of the back-off of what does not burden the server that answers, where the configured ones are not less: files
    /// come from elsewhere, and a full disk is nobody else's.
    public static let otherBackOff: (base: Seconds, cap: Seconds) = (60, 3600)
    /// Who was never answered, or not in so many starts of the box in a row, is off most of the time, for reasons of its own: its
    /// first poll falls within ``eagerSplay``, lest it miss its chance again. Power that comes back for all boxes, and perhaps
    /// goes once more, is fewer starts.
    public static let unansweredBoots = 2
    public static let eagerSplay: Seconds = 1800
    /// What became of an update is told within this span, where ``splay`` is not less.
    public static let reportSplay: Seconds = 7200
    /// A misconfigured box asks this many times at an hour's distance, then daily.
    public static let hourlyRetries = 24

    public init(interval: Seconds, splay: Seconds, backOffBase: Seconds, backOffCap: Seconds) {
        self.interval = interval
        self.splay = splay
        self.backOffBase = backOffBase
        self.backOffCap = backOffCap
    }

    func firstDelay(isEager: Bool, _ chance: inout Chance) -> Seconds {
        chance.uniform(0, isEager ? min(splay, Self.eagerSplay) : splay)
    }

    func regularDelay(_ chance: inout Chance, every interval: Seconds? = nil) -> Seconds {
        let interval = interval ?? self.interval
        return chance.uniform(interval * 0.9, interval * 1.1)
    }

    /// Exponential back-off with equal jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog): anywhere in
    /// the upper half of a bound that doubles. No box waits longer than the trouble has lasted so far, twice over, and boxes
    /// that failed together spread over hours once it has lasted for hours.
    ///
    /// `retryAfter` is a lower bound; the jitter comes on top of it, because every box was told the same moment.
    func backOffDelay(failures: Int, retryAfter: Seconds?, _ chance: inout Chance) -> Seconds {
        let bound = backOffBound(failures)
        return Self.patience(retryAfter) + chance.uniform(bound / 2, bound)
    }

    /// A server without room for a request (HTTP 429) is asked again at any moment of a whole ``interval``: however many boxes
    /// it refused, together they ask no more than twice as often as ever.
    func refusedDelay(failures: Int, retryAfter: Seconds?, _ chance: inout Chance) -> Seconds {
        let asked = Self.patience(retryAfter)
        return asked + chance.uniform(min(1, interval / 2), max(interval - asked, backOffBound(failures)))
    }

    func delay(after trouble: Trouble, failures: Int, _ chance: inout Chance) -> Seconds {
        if case .rateLimited(let retryAfter) = trouble {
            return refusedDelay(failures: failures, retryAfter: retryAfter, &chance)
        }
        return backOffDelay(failures: failures, retryAfter: trouble.retryAfter, &chance)
    }

    private func backOffBound(_ failures: Int) -> Seconds {
        min(backOffCap, backOffBase * Seconds(1 << min(max(failures - 1, 0), 30)))
    }

    private static func patience(_ retryAfter: Seconds?) -> Seconds { min(max(retryAfter ?? 0, 0), retryAfterLimit) }

    /// Of a download, or of what only this box can mend.
    func otherDelay(failures: Int, retryAfter: Seconds? = nil, _ chance: inout Chance) -> Seconds {
        var schedule = self
        schedule.backOffBase = min(backOffBase, Self.otherBackOff.base)
        schedule.backOffCap = min(backOffCap, Self.otherBackOff.cap)
        return schedule.backOffDelay(failures: failures, retryAfter: retryAfter, &chance)
    }

    /// What only the operator can mend is retried hourly for a day, then daily.
    func misconfiguredDelay(failures: Int, _ chance: inout Chance) -> Seconds {
        regularDelay(&chance, every: failures <= Self.hourlyRetries ? 3600 : 24 * 3600)
    }
}
