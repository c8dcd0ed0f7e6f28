public import UpdateCore

/// The dates of HTTP headers, in the three forms of RFC 9110, section 5.6.7.
public enum HTTPDate {
    /// Nil if the text has none of the three forms, or has a number out of range.
    public static func parse(_ text: String) -> WallTime? {
        guard text.utf8.count <= 64 else { return nil }
        let words = text.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
        switch words.count {
        case 6 where words[5] == "GMT":  // Sun, 06 Nov 1994 08:49:37 GMT
            return time(day: words[1], month: words[2], year: words[3], clock: words[4])
        case 4 where words[3] == "GMT":  // Sunday, 06-Nov-94 08:49:37 GMT
            let date = words[1].split(separator: "-").map(String.init)
            guard date.count == 3, date[2].count == 2, let short = Int(date[2]) else { return nil }
            return time(
                day: date[0], month: date[1], year: "\(short < 70 ? 2000 + short : 1900 + short)", clock: words[2])
        case 5:  // Sun Nov  6 08:49:37 1994
            return time(day: words[2], month: words[1], year: words[4], clock: words[3])
        default:
            return nil
        }
    }

    private static let longestWait: Seconds = 1e9

    /// `Retry-After` in seconds from now, at most 1e9: a number of seconds, or a date (RFC 9110, section 10.2.3). Nil for any
    /// other text.
    public static func parseRetryAfter(_ text: String, now: WallTime) -> Seconds? {
        let text = text.filter { $0 != "\t" }
        let digits = text.filter { $0 != " " }
        if !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // A number that is too large for Int becomes one that JSON can represent. The core has a lower limit of its own.
            return Seconds(digits).map { min($0, longestWait) }
        }
        return parse(text).map { min(max(0, $0 - now), longestWait) }
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func time(day: String, month: String, year: String, clock: String) -> WallTime? {
        let parts = clock.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard
            let day = number(day, 1...31), let month = months.firstIndex(of: month),
            let year = number(year, 1601...9999), parts.count == 3, let hour = number(parts[0], 0...23),
            let minute = number(parts[1], 0...59), let second = number(parts[2], 0...60)
        else { return nil }
        let days = daysSince1970(year: year, month: month + 1, day: day)
        return WallTime(unixSeconds: Seconds(days) * 86_400 + Seconds(hour * 3600 + minute * 60 + second))
    }

    private static func number(_ text: String, _ range: ClosedRange<Int>) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text) else { return nil }
        return range.contains(value) ? value : nil
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March.
    private static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
