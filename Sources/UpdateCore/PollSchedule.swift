/// When to ask the server again. Pure arithmetic: chance comes in as an argument.
public struct PollSchedule: Codable, Hashable, Sendable {
    /// Between two polls when all is well.
    public var interval: Seconds
    /// The first poll after a start falls anywhere in this span, so that boxes that start together do not ask together.
    public var splay: Seconds
    /// Upper bound of the first back-off; it doubles with every failure.
    public var backOffBase: Seconds
    /// Upper bound of every back-off.
    public var backOffCap: Seconds

    /// A server may ask for this much patience and no more.
    public static let retryAfterLimit: Seconds = 24 * 3600
    /// While an offer waits for consent, or for its download to become possible.
    public static let waitingInterval: Seconds = 24 * 3600
    /// Upper bound of the first back-off of a download, where ``backOffBase`` is not less: files come from elsewhere than
    /// answers, and a line that drops is taken up again soon.
    public static let downloadBackOffBase: Seconds = 60
    /// A misconfigured box asks this many times at an hour's distance, then daily.
    public static let hourlyRetries = 24

    public init(interval: Seconds, splay: Seconds, backOffBase: Seconds, backOffCap: Seconds) {
        self.interval = interval
        self.splay = splay
        self.backOffBase = backOffBase
        self.backOffCap = backOffCap
    }

    func firstDelay(_ chance: inout Chance) -> Seconds {
        chance.uniform(0, splay)
    }

    func regularDelay(_ chance: inout Chance, every interval: Seconds? = nil) -> Seconds {
        let interval = interval ?? self.interval
        return chance.uniform(interval * 0.9, interval * 1.1)
    }

    /// Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog):
    /// anywhere between nothing and the doubled bound. At the cap the jitter stays full, so that boxes that
    /// failed together spread over the whole cap instead of meeting again at its end.
    ///
    /// `retryAfter` is a lower bound; the jitter comes on top of it, because every box was told the same moment.
    func backOffDelay(failures: Int, retryAfter: Seconds?, _ chance: inout Chance) -> Seconds {
        let doublings = Seconds(1 << min(max(failures - 1, 0), 30))
        let bound = min(backOffCap, backOffBase * doublings)
        let asked = min(max(retryAfter ?? 0, 0), Self.retryAfterLimit)
        return asked + max(chance.uniform(0, bound), min(1, bound))
    }

    func downloadDelay(failures: Int, retryAfter: Seconds?, _ chance: inout Chance) -> Seconds {
        var schedule = self
        schedule.backOffBase = min(backOffBase, Self.downloadBackOffBase)
        return schedule.backOffDelay(failures: failures, retryAfter: retryAfter, &chance)
    }

    /// What only the operator can mend is retried hourly for a day, then daily.
    func misconfiguredDelay(failures: Int, _ chance: inout Chance) -> Seconds {
        regularDelay(&chance, every: failures <= Self.hourlyRetries ? 3600 : 24 * 3600)
    }
}
