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

    static func paint(_ text: String, _ colour: Colour) -> String {
        hasColours ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    static func bar(_ received: UInt64, of total: UInt64) -> String {
        let filled = total > 0 ? Int(min(received, total) * 30 / total) : 0
        return String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
    }

    /// A time such as `2026-11-24 03:10 (in 2 h)`, in local time.
    static func moment(_ unixSeconds: UInt64) -> String {
        let distance = Seconds(unixSeconds) - Clock.wallTime.unixSeconds
        let away = distance >= 0 ? "in \(describe(distance))" : "\(describe(-distance)) ago"
        return "\(LocalTime.text(WallTime(unixSeconds: Seconds(unixSeconds)))) (\(away))"
    }
}

func say(_ line: String) { emit("\(line)\n", STDOUT_FILENO) }
func complain(_ line: String) { emit("\(line)\n", STDERR_FILENO) }

func emit(_ text: String, _ descriptor: CInt) {
    _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}

func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    say(String(decoding: try encoder.encode(value), as: UTF8.self))
}
