import FoundationEssentials
import Glibc
import Host
import UpdateCore

/// Colours, progress bars and local times for a terminal.
enum Terminal {
    static let isInteractive = isatty(STDOUT_FILENO) == 1
    /// Respects NO_COLOR (https://no-color.org) and terminals without colours.
    private static let hasColours =
        isInteractive && getenv("NO_COLOR") == nil && getenv("TERM").map { String(cString: $0) } ?? "dumb" != "dumb"

    enum Colour: String {
        case green = "32"
        case yellow = "33"
        case red = "31"
        case bold = "1"
    }

    static func paint(_ text: Shown, _ colour: Colour) -> Shown {
        hasColours ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    static func bar(_ received: UInt64, of total: UInt64) -> Shown {
        let filled = total > 0 ? Int(Double(min(received, total)) / Double(total) * 30) : 0
        return "\(String(repeating: "█", count: filled))\(String(repeating: "░", count: 30 - filled))"
    }

    /// Shows a line in place of the one before. The terminal cuts it at its right edge (DECAWM off): a part in the next row would
    /// stay there.
    static func replaceLine(_ line: Shown) { emit("\r\u{1B}[K\u{1B}[?7l\(line)\u{1B}[?7h", STDOUT_FILENO) }

    /// A time such as `2026-11-24 03:10 (in 2 h)`, in local time.
    static func moment(_ unixSeconds: UInt64) -> Shown {
        let unixSeconds = min(unixSeconds, latest)
        let distance = Seconds(unixSeconds) - Clock.wallTime.unixSeconds
        let away = distance >= 0 ? "in \(describe(distance))" : "\(describe(-distance)) ago"
        return "\(LocalTime.text(WallTime(unixSeconds: Seconds(unixSeconds)))) (\(away))"
    }

    /// The end of the year 9999 in Unix seconds: later times are shown as this one.
    static let latest: UInt64 = 253_402_300_799
}

func say(_ line: Shown) { emit("\(line)\n", STDOUT_FILENO) }
func complain(_ line: Shown) { emit("\(line)\n", STDERR_FILENO) }

private func emit(_ text: Shown, _ descriptor: CInt) { write(text.text, descriptor) }

private func write(_ text: String, _ descriptor: CInt) {
    _ = Array(text.utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
}

func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    write(String(decoding: try encoder.encode(value), as: UTF8.self).escapingHiddenCharacters + "\n", STDOUT_FILENO)
}

extension String {
    /// JSON whose strings contain no character that a terminal acts on: each is written as `\u` and its UTF-16 code units
    /// (RFC 8259, section 7). The line breaks of the layout stay; JSON has none within a string.
    fileprivate var escapingHiddenCharacters: String {
        var escaped = ""
        for scalar in unicodeScalars {
            guard scalar.isHidden, scalar != "\n" else {
                escaped.unicodeScalars.append(scalar)
                continue
            }
            for unit in UTF16.encode(scalar).map(Array.init) ?? [] {
                let digits = String(unit, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return escaped
    }
}
