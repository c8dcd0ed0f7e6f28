/// Counts time across reboots. In the boot in which it was started, CLOCK_BOOTTIME counts, and no setting of the wall clock
/// changes the result. After a reboot the wall clock counts, as soon as the device knows the time. Without it, the time during
/// which the device was on counts, which is never too much.
public struct Stopwatch: Codable, Hashable, Sendable {
    /// When it was started; nil as long as the device does not know the time.
    public private(set) var since: WallTime?
    /// The seconds that had passed for certain at the moment ``countedAt``.
    private(set) var counted: Seconds = 0
    private(set) var countedAt: BootInstant
    /// When a later boot took it over; nil in the boot in which it was started, and in the rest of one whose wall clock does not
    /// count.
    private(set) var resumed: BootInstant?

    /// In seconds: smaller changes are not stored, because each state that is stored wears the flash memory.
    static let resolution: Seconds = 60
    /// A start that lies in the future means that the wall clock was wrong then, or is wrong now. A clock that is not right after
    /// this many seconds is not going to be set, so the time counts from there.
    private static let settling: Seconds = 3600
    private static let longest: Seconds = 1e9

    init(now: BootInstant) { countedAt = now }

    private enum CodingKeys: String, CodingKey { case since, counted, countedAt, resumed }

    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        since = fields.optional(.since)
        counted = min(max(fields.value(.counted, or: 0), 0), Self.longest)
        countedAt = try fields.required(.countedAt)
        resumed = fields.optional(.resumed)
    }

    /// The seconds since its start.
    ///
    /// - Parameter time: the wall clock; nil if the device does not know the time.
    func elapsed(_ now: BootInstant, _ time: WallTime?) -> Seconds {
        let floor = counted + max(0, now - countedAt)
        guard resumed != nil, let since, let time else { return floor }
        return max(floor, min(time - since, Self.longest))
    }

    /// Continues in a new boot: its instants have nothing to do with those of earlier ones.
    mutating func resume(at now: BootInstant) {
        countedAt = now
        resumed = now
    }

    /// Remembers what has passed, for the next boot.
    ///
    /// - Parameter interval: less than this, in seconds, is not worth a write.
    mutating func note(_ now: BootInstant, _ time: WallTime?, interval: Seconds = resolution) {
        if now - countedAt >= interval {
            counted = min(counted + (now - countedAt), Self.longest)
            countedAt = now
        }
        guard let time else { return }
        let floor = counted + max(0, now - countedAt)
        let start = time + -floor
        guard let since else { return self.since = start }
        if let resumed {
            guard since - start > Self.resolution, now - resumed >= Self.settling else { return }
            // When that clock is corrected later, the correction must not count as time that has passed.
            (self.since, self.resumed) = (start, nil)
        } else if abs(since - start) > Self.resolution {
            self.since = start
        }
    }

    /// Moves its instants, for tests that explore states.
    mutating func eachInstant(_ body: (inout BootInstant) -> Void) {
        body(&countedAt)
        if var resumed {
            body(&resumed)
            self.resumed = resumed
        }
    }
}

/// A wait of a fixed length that a reboot does not end: a deferral, a cancellation, the grace period of a forced version.
public struct Pause: Codable, Hashable, Sendable {
    var watch: Stopwatch
    /// In seconds. A wrong clock cannot make the wait longer than this from a boot.
    private(set) var length: Seconds

    init(now: BootInstant, length: Seconds) {
        watch = Stopwatch(now: now)
        self.length = length
    }

    private enum CodingKeys: String, CodingKey { case watch, length }

    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        watch = try fields.required(.watch)
        length = min(max(try fields.required(.length), 0), Command.deferralRange.upperBound)
    }

    /// The seconds that are left.
    func left(_ now: BootInstant, _ time: WallTime?) -> Seconds { max(0, length - watch.elapsed(now, time)) }
}
