import CHost
import Glibc
public import UpdateCore

/// The time zone of this device (localtime(5)).
public enum LocalTime {
    private static let hour: Seconds = 3600

    /// The offsets from UTC, in seconds, from three days before a moment to ten days after it, with each change between.
    public static func offsets(around moment: WallTime) -> TimeZoneOffsets {
        tzset()
        let first = (moment.unixSeconds / hour).rounded(.down) * hour - 72 * hour
        var segments = [TimeZoneOffsets.Segment(from: WallTime(unixSeconds: first), offset: offset(at: first))]
        for step in 1...(13 * 24) {
            let time = first + Seconds(step) * hour
            let offset = offset(at: time)
            guard offset != segments[segments.count - 1].offset else { continue }
            let change = change(between: time - hour, and: time, to: offset)
            segments.append(.init(from: WallTime(unixSeconds: change), offset: offset))
        }
        return TimeZoneOffsets(segments)
    }

    /// The offset from UTC at a moment, in seconds; the result uses it for all times.
    public static func offset(now moment: WallTime) -> TimeZoneOffsets {
        tzset()
        return TimeZoneOffsets([.init(from: moment, offset: offset(at: moment.unixSeconds))])
    }

    /// The local time as text: `2026-11-24 03:10`; `?` if it cannot be computed.
    public static func text(_ moment: WallTime) -> String {
        tzset()
        var buffer = [CChar](repeating: 0, count: 64)
        let seconds = Int64(cut: max(-1e14, min(moment.unixSeconds, 1e14)))
        let length = upgradelink_local_text(seconds, &buffer, Int64(buffer.count))
        return length > 0
            ? String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self) : "?"
    }

    /// The second at which the offset changes, found by bisection.
    private static func change(between low: Seconds, and high: Seconds, to new: Seconds) -> Seconds {
        var low = low
        var high = high
        while high - low > 1 {
            let middle = ((low + high) / 2).rounded(.down)
            if offset(at: middle) == new { high = middle } else { low = middle }
        }
        return high
    }

    private static func offset(at unixSeconds: Seconds) -> Seconds {
        var offset: Int32 = 0
        return upgradelink_utc_offset(Int64(cut: unixSeconds), &offset) == 0 ? Seconds(offset) : 0
    }
}
