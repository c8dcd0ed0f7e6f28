import UpdateCore

/// Durations and sizes in text form.
enum Quantity {
    /// `90`, `90s`, `15min`, `6h`, `1h 30min`, `2d`, `1w`: the common units of systemd.time(7). A number without a unit is in
    /// seconds.
    static func seconds(_ text: String) -> Seconds? { sum(text, durationUnits) }

    static let durationUnits: [String: Seconds] = [
        "": 1, "ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600, "d": 86_400,
        "day": 86_400, "days": 86_400, "w": 604_800,
    ]

    /// `1048576`, `512K`, `64M`, `8G`: powers of 1024, as in systemd's size options; `kB`, `MB`, `GB` are powers of 1000.
    static func bytes(_ text: String) -> ByteCount? { sum(text, sizeUnits).flatMap { $0 < 9e18 ? ByteCount($0) : nil } }

    static let sizeUnits: [String: Double] = [
        "": 1, "B": 1, "K": 1024, "M": 1_048_576, "G": 1_073_741_824, "T": 1_099_511_627_776, "KiB": 1024,
        "MiB": 1_048_576, "GiB": 1_073_741_824, "TiB": 1_099_511_627_776, "kB": 1e3, "MB": 1e6, "GB": 1e9,
        "TB": 1e12,
    ]

    /// The form of ``bytes(_:)``, with the largest unit that is exact: `8G`, `64M`, `1000`.
    static func describe(bytes: ByteCount) -> String {
        for (unit, power) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, ByteCount)]
        where bytes > 0 && bytes.isMultiple(of: 1 << power) { return "\(bytes >> power)\(unit)" }
        return "\(bytes)"
    }

    /// For the bounds of options: `90 d`, `10 min`, `0.1 s`.
    static func describe(seconds: Seconds) -> String {
        seconds > 0 && seconds < 1 ? "\(seconds) s" : UpdateCore.describe(seconds)
    }

    private static func sum(_ text: String, _ units: [String: Double]) -> Double? {
        var rest = text.drop { $0 == " " }
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            guard let number = Double(String(digits)) else { return nil }
            rest = rest.dropFirst(digits.count).drop { $0 == " " }
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            guard let factor = units[String(unit)] else { return nil }
            rest = rest.dropFirst(unit.count).drop { $0 == " " }
            // "1 30" is more likely a mistake than 31 seconds.
            guard !unit.isEmpty || rest.isEmpty else { return nil }
            total += number * factor
        }
        return total
    }
}
