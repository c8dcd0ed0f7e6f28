/// When the agent checks for updates. The functions are pure: the random generator is an argument.
public struct PollSchedule: Codable, Hashable, Sendable {
    /// Between two checks without an error, ± 10 %.
    public var interval: Seconds
    /// The first check after a boot falls anywhere in this span, so that devices that boot together do not poll together.
    public var splay: Seconds
    /// Upper bound of the first back-off; it doubles with every failure.
    public var backOffBase: Seconds
    /// Upper bound of every back-off.
    public var backOffCap: Seconds

    /// The defaults, tuned with `upgradelink-sim fleet` (docs/performance.md).
    public static let standard = PollSchedule(interval: 21_600, splay: 21_600, backOffBase: 900, backOffCap: 21_600)

    /// A longer `Retry-After` is cut to this.
    public static let retryAfterLimit: Seconds = 24 * 3600
    /// Between two checks while an offer waits, unless ``interval`` is longer.
    public static let waitingInterval: Seconds = 24 * 3600
    /// The bounds of the back-off after errors that concern only this device, such as a full disk.
    /// Lower configured bounds apply instead.
    public static let otherBackOff: (base: Seconds, cap: Seconds) = (60, 3600)
    /// See ``downloadDelay(after:failures:_:)``.
    public static let downloadCapFactor: Seconds = 4
    /// A device without a response in this many boots in a row, or without any response, is seldom on for long. Its next first
    /// check falls within ``eagerSplay``. A power cut of all devices causes fewer boots, even if the power fails once more.
    public static let bootsWithoutResponse = 2
    /// ``splay`` of a device that is new or seldom on, unless ``splay`` is shorter.
    public static let eagerSplay: Seconds = 1800
    /// The result of an update is reported within this span, or within ``splay`` if that is shorter.
    public static let reportSplay: Seconds = 7200
    /// A misconfigured device checks hourly this many times, then daily.
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

    /// Exponential back-off with equal jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog): between half
    /// the bound and the bound, which doubles with each failure. No device waits longer than twice the time that the error has
    /// lasted. After an error of hours, devices that failed together are spread over hours.
    ///
    /// `retryAfter` is a lower bound. The jitter is added to it, because every device may have received the same value.
    func backOffDelay(failures: Int, retryAfter: Seconds?, _ chance: inout Chance) -> Seconds {
        let bound = backOffBound(failures)
        return Self.minimum(retryAfter) + chance.uniform(bound / 2, bound)
    }

    /// A throttled request (HTTP 429) is repeated at any moment of a whole ``interval``. However many devices the server
    /// throttles, together they poll at most twice as often as usual.
    func throttledDelay(failures: Int, retryAfter: Seconds?, _ chance: inout Chance) -> Seconds {
        let minimum = Self.minimum(retryAfter)
        return minimum + chance.uniform(min(1, interval / 2), max(interval - minimum, backOffBound(failures)))
    }

    func delay(after transientError: TransientError, failures: Int, _ chance: inout Chance) -> Seconds {
        if case .rateLimited(let retryAfter) = transientError {
            return throttledDelay(failures: failures, retryAfter: retryAfter, &chance)
        }
        return backOffDelay(failures: failures, retryAfter: transientError.retryAfter, &chance)
    }

    private func backOffBound(_ failures: Int) -> Seconds {
        min(backOffCap, backOffBase * Seconds(1 << min(max(failures - 1, 0), 30)))
    }

    private static func minimum(_ retryAfter: Seconds?) -> Seconds { min(max(retryAfter ?? 0, 0), retryAfterLimit) }

    /// The back-off after an error that concerns only this device (``otherBackOff``).
    func otherDelay(failures: Int, retryAfter: Seconds? = nil, _ chance: inout Chance) -> Seconds {
        var schedule = self
        schedule.backOffBase = min(backOffBase, Self.otherBackOff.base)
        schedule.backOffCap = min(backOffCap, Self.otherBackOff.cap)
        return schedule.backOffDelay(failures: failures, retryAfter: retryAfter, &chance)
    }

    /// The delay before a download is tried again. After a response that was no file, it grows to ``downloadCapFactor`` times
    /// ``backOffCap``, a day by default: only the publisher can help. Without any response it grows to ``backOffCap``: the network
    /// of this device may return at any time.
    func downloadDelay(after error: TransientError, failures: Int, _ chance: inout Chance) -> Seconds {
        var schedule = self
        schedule.backOffBase = min(backOffBase, Self.otherBackOff.base)
        if error.isResponse { schedule.backOffCap = backOffCap * Self.downloadCapFactor }
        return schedule.backOffDelay(failures: failures, retryAfter: error.retryAfter, &chance)
    }

    /// After an error that only the operator can fix: hourly for a day, then daily.
    func misconfiguredDelay(failures: Int, _ chance: inout Chance) -> Seconds {
        regularDelay(&chance, every: failures <= Self.hourlyRetries ? 3600 : 24 * 3600)
    }
}
