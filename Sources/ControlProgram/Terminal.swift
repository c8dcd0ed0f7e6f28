import Glibc
import Host
import UpdateCore

/// Colours, progress bars, sizes and local times for a terminal.
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

    static func bar(_ received: UInt64, of total: UInt64, width: Int = 30) -> Shown {
        let filled = total > 0 ? Int(Double(min(received, total)) / Double(total) * Double(width)) : 0
        return "\(String(repeating: "█", count: filled))\(String(repeating: "░", count: width - filled))"
    }

    /// The terminal's present size; else that of COLUMNS and LINES, else 80 columns and 24 rows.
    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 {
            return (Int(size.ws_col), Int(size.ws_row))
        }
        func variable(_ name: String, or standard: Int) -> Int {
            let number = getenv(name).flatMap { Int(String(cString: $0)) } ?? 0
            return (1...10_000).contains(number) ? number : standard
        }
        return (variable("COLUMNS", or: 80), variable("LINES", or: 24))
    }

    /// Whether this process is in the group that gets the signals of its terminal.
    static var isInForeground: Bool {
        guard let terminal = try? OpenFile("/dev/tty", O_RDONLY | O_NOCTTY) else { return false }
        return tcgetpgrp(terminal.descriptor) == getpgrp()
    }

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

/// Writes commands for the terminal, and text, to standard output.
func draw(_ text: Shown) { emit(text, STDOUT_FILENO) }

/// Writes text that contains nothing but this program's own characters to standard output.
func printText(_ text: String) { write(text, STDOUT_FILENO) }

private func emit(_ text: Shown, _ descriptor: CInt) { write(text.text, descriptor) }

private func write(_ text: String, _ descriptor: CInt) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
