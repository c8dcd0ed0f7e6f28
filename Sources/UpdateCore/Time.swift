/// A duration in seconds.
public typealias Seconds = Double

/// A moment on CLOCK_BOOTTIME, in seconds since its boot. The clock counts standby and never jumps.
public struct BootInstant: Codable, Hashable, Comparable, Sendable {
    public var seconds: Seconds

    public init(_ seconds: Seconds) { self.seconds = seconds }

    public static func < (left: Self, right: Self) -> Bool { left.seconds < right.seconds }
    public static func + (left: Self, right: Seconds) -> Self { Self(left.seconds + right) }
    public static func - (left: Self, right: Self) -> Seconds { left.seconds - right.seconds }
}

/// A moment on the wall clock, in seconds since 1970-01-01T00:00:00Z. The device's wall clock may be wrong.
public struct WallTime: Codable, Hashable, Comparable, Sendable {
    public var unixSeconds: Seconds

    /// Later and earlier times, by more than thirty thousand years, are not read from a file or from another process.
    static let limit: Seconds = 1e12

    public init(unixSeconds: Seconds) { self.unixSeconds = unixSeconds }

    private enum CodingKeys: String, CodingKey { case unixSeconds }

    /// A time beyond ``limit`` becomes the limit.
    public init(from decoder: any Decoder) throws {
        let seconds = try decoder.container(keyedBy: CodingKeys.self).decode(Seconds.self, forKey: .unixSeconds)
        unixSeconds = max(-Self.limit, min(seconds, Self.limit))
    }

    /// Whole seconds since 1970; 0 for an earlier time.
    package var wholeSeconds: Int64 { max(0, Int64(cut: unixSeconds)) }

    public static func < (left: Self, right: Self) -> Bool { left.unixSeconds < right.unixSeconds }
    public static func + (left: Self, right: Seconds) -> Self { Self(unixSeconds: left.unixSeconds + right) }
    public static func - (left: Self, right: Self) -> Seconds { left.unixSeconds - right.unixSeconds }
}

/// The server's clock in one boot. It is relative to CLOCK_BOOTTIME, not to the device's own wall clock,
/// so that it stays right when that clock is set later.
public struct ServerClock: Codable, Hashable, Sendable {
    public var bootID: String
    /// The server's time when this boot began, in seconds since 1970.
    public var atBoot: Seconds

    public init(bootID: String, atBoot: Seconds) {
        self.bootID = bootID
        self.atBoot = atBoot
    }

    private enum CodingKeys: String, CodingKey { case bootID, atBoot }

    /// A time beyond ``WallTime/limit`` becomes the limit.
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        bootID = try fields.required(.bootID)
        atBoot = max(-WallTime.limit, min(try fields.required(.atBoot), WallTime.limit))
    }

    /// The server's time at this moment; nil if this clock belongs to another boot.
    public func time(at now: BootInstant, bootID: String) -> WallTime? {
        bootID == self.bootID ? WallTime(unixSeconds: atBoot + now.seconds) : nil
    }
}

extension Int64 {
    /// The whole part of a number, at most 2^53 on either side of zero. `Int64(_:)` ends the process at a number that does not fit.
    package init(cut number: Double) {
        let limit = 0x1p53
        self = Int64(Swift.max(-limit, Swift.min(number.rounded(.down), limit)))
    }
}

/// Renders a duration for the user: `5 h 40 min`, `3 min`, `12 s`.
public func describe(_ seconds: Seconds) -> String {
    let whole = Int64(cut: min(max(0, seconds), 1e9).rounded())
    switch whole {
    case ..<60: return "\(whole) s"
    case ..<3600: return "\((whole + 30) / 60) min"
    case ..<86_400:
        let minutes = (whole + 30) / 60
        return minutes % 60 == 0 ? "\(minutes / 60) h" : "\(minutes / 60) h \(minutes % 60) min"
    default:
        let hours = (whole + 1800) / 3600
        return hours % 24 == 0 ? "\(hours / 24) d" : "\(hours / 24) d \(hours % 24) h"
    }
}

/// Renders a number of bytes for the user, in powers of 1000: `512 MB`, `3.1 MB`, `640 kB`.
public func describe(bytes: ByteCount) -> String {
    var value = Double(max(bytes, 0))
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 || unit == "GB" {
            let tenths = Int64(cut: (value * 10).rounded())
            return unit == "B" || tenths >= 100
                ? "\(Int64(cut: value.rounded())) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        value /= 1000
    }
    return "\(bytes) B"
}
