/// A weekly span of local time for installations and reboots: `Mon-Fri 02:00-05:00`, `Sat,Sun 23:00-06:00`, `03:30-04:30`
/// (every day). If the end is not after the start, the window ends on the next day.
public struct MaintenanceWindow: Codable, Hashable, Sendable {
    /// 0 is Monday, 6 is Sunday.
    public var days: Set<Int>
    /// Minutes after midnight, 0 to 1439.
    public var start: Int
    /// Minutes, 1 to 1440.
    public var length: Int

    private static let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// Nil if the text does not have this form.
    public init?(_ text: String) {
        let words = text.split(separator: " ")
        guard let hours = words.last, words.count <= 2 else { return nil }
        guard let days = words.count == 2 ? Self.days(words[0]) : Set(0..<7) else { return nil }
        let ends = hours.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let start = Self.minutes(ends[0]), let end = Self.minutes(ends[1]), start < 1440
        else { return nil }
        self.days = days
        self.start = start
        length = end > start ? end - start : end - start + 1440
    }

    private enum CodingKeys: String, CodingKey { case days, start, length }

    /// - Throws: `DecodingError` for a window that has no text form.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        days = try fields.decode(Set<Int>.self, forKey: .days)
        start = try fields.decode(Int.self, forKey: .start)
        length = try fields.decode(Int.self, forKey: .length)
        guard days.isSubset(of: 0..<7), (0..<1440).contains(start), (1...1440).contains(length) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a maintenance window"))
        }
    }

    private static func days(_ text: Substring) -> Set<Int>? {
        var days: Set<Int> = []
        for part in text.lowercased().split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
            guard let first = ends.first.flatMap({ names.firstIndex(of: String($0)) }),
                let last = ends.last.flatMap({ names.firstIndex(of: String($0)) }), ends.count <= 2
            else { return nil }
            days.formUnion((0...(last - first + 7) % 7).map { (first + $0) % 7 })
        }
        return days
    }

    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy(\.isASCIIDigit) }),
            let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60, hour * 60 + minute <= 1440
        else { return nil }
        return hour * 60 + minute
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}

extension [MaintenanceWindow] {
    private static var day: Seconds { 86_400 }

    /// Whether a window is open. Without any window, installations are always allowed.
    public func isOpen(at now: WallTime, _ zone: TimeZoneOffsets) -> Bool {
        isEmpty || occurrences(around: now, -2...0, zone).contains { $0.contains(now) }
    }

    /// When the next window opens after this moment; nil if there is no window.
    public func nextOpening(after now: WallTime, _ zone: TimeZoneOffsets) -> WallTime? {
        occurrences(around: now, -1...8, zone).map(\.lowerBound).filter { $0 > now }.min()
    }

    /// Whether a whole window lies between these moments.
    func hasPassed(since: WallTime, until: WallTime, _ zone: TimeZoneOffsets) -> Bool {
        occurrences(around: since, -1...8, zone).contains { $0.lowerBound >= since && $0.upperBound <= until }
    }

    /// The windows that begin on these days, counted from today.
    private func occurrences(
        around now: WallTime, _ days: ClosedRange<Int64>, _ zone: TimeZoneOffsets
    ) -> [Range<WallTime>] {
        let today = Int64(cut: zone.local(now) / Self.day)
        return days.flatMap { offset -> [Range<WallTime>] in
            let date = today + offset
            // 1970-01-01 was a Thursday.
            let weekday = Int(((date + 3) % 7 + 7) % 7)
            return filter { $0.days.contains(weekday) }.map { window in
                let start = Seconds(date) * Self.day + Seconds(window.start * 60)
                let opens = zone.moment(local: start)
                let closes = zone.moment(local: start + Seconds(window.length * 60))
                // If the clock is put forward over the whole window, the window opens at that moment for its usual length.
                return opens..<(closes > opens ? closes : opens + Seconds(window.length * 60))
            }
        }
    }
}

/// The offsets of local time from UTC around a moment.
public struct TimeZoneOffsets: Codable, Hashable, Sendable {
    public struct Segment: Codable, Hashable, Sendable {
        public var from: WallTime
        /// Seconds east of Greenwich.
        public var offset: Seconds

        public init(from: WallTime, offset: Seconds) {
            self.from = from
            self.offset = offset
        }
    }

    /// Sorted by time. The first offset also applies to earlier moments.
    private let segments: [Segment]

    /// - Parameter segments: sorted by time; none is UTC.
    public init(_ segments: [Segment]) {
        self.segments = segments.isEmpty ? [Segment(from: WallTime(unixSeconds: 0), offset: 0)] : segments
    }

    private enum CodingKeys: String, CodingKey { case segments }

    public init(from decoder: any Decoder) throws {
        self.init(try decoder.container(keyedBy: CodingKeys.self).decode([Segment].self, forKey: .segments))
    }

    public static let utc = TimeZoneOffsets([])

    /// The local time, in seconds since 1970-01-01 00:00 local time.
    func local(_ moment: WallTime) -> Seconds {
        moment.unixSeconds + (segments.last { $0.from <= moment } ?? segments[0]).offset
    }

    /// The first moment with this local time, or the moment at which the clock is put forward over it.
    func moment(local: Seconds) -> WallTime {
        for (index, segment) in segments.enumerated() {
            let moment = WallTime(unixSeconds: local - segment.offset)
            guard index + 1 == segments.count || moment < segments[index + 1].from else { continue }
            return index == 0 ? moment : max(moment, segment.from)
        }
        return WallTime(unixSeconds: local - segments[segments.count - 1].offset)
    }
}
