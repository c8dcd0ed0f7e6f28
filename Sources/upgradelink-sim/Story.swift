import Glibc
import Host
import Simulator
import Synchronization
import UpdateCore

/// Prints the events of the demonstration, and checks that all expected events have happened.
final class Story: Sendable {
    private struct State {
        var seen: Set<String> = []
        var barIsOpen = false
        var lastQuarter = -1
        var status = ""
        var transcript = ""
        var began: BootInstant?
        var ended: BootInstant?
        var hasCopied = false
    }

    private static let steps: [(name: String, mark: String)] = [
        ("the silent offer of v2", "Offered v2 (code 2), silent"),
        ("v2 downloaded and verified", "v2 (code 2) is downloaded and verified"),
        ("v2 installed", "Installed v2 (code 2)"),
        ("the forced offer of v3", "Offered v3 (code 3), forced"),
        ("v3 downloaded and verified", "v3 (code 3) is downloaded and verified"),
        ("v3 installed", "Installed v3 (code 3)"),
        ("the prompted offer of v4", "Offered v4 (code 4), prompt"),
        ("the consent to v4", "Consent to v4 (code 4)"),
        ("v4 installed", "Installed v4 (code 4)"),
        ("the message that it is up to date", "Up to date (v4, code 4)"),
    ]

    private let state = Mutex(State())
    private let isTerminal: Bool

    /// - Parameter isRecorded: whether the output is for a picture, in which progress bars are not overwritten.
    init(isRecorded: Bool = false) { isTerminal = isatty(STDOUT_FILENO) == 1 && !isRecorded }

    /// Everything that was printed.
    var transcript: String { state.withLock { $0.transcript } }

    func narrate(_ line: String) { show("\n\(line)") }

    /// Prints what the screen of the device would show.
    func onScreen(_ lines: [String]) {
        let width = lines.map(\.count).max() ?? 0
        var frame = ["  screen   ╭─" + String(repeating: "─", count: width) + "─╮"]
        frame += lines.map { "  screen   │ " + $0 + String(repeating: " ", count: width - $0.count) + " │" }
        frame.append("  screen   ╰─" + String(repeating: "─", count: width) + "─╯")
        show(frame.joined(separator: "\n"))
    }

    func serverSaid(_ line: String) { show("  server   \(line)") }

    /// What the first update cost, in one line; nil if it has not ended.
    ///
    /// - Parameter size: of its artifact, in bytes.
    func figures(size: ByteCount) -> String? {
        state.withLock { state in
            guard let began = state.began, let ended = state.ended else { return nil }
            // The installer says so if it has to copy.
            let copies = state.hasCopied ? "twice, because the installer could not take it over" : "once"
            return "v2: \(describe(bytes: size)) in \(oneDecimal(ended - began)) s, written \(copies)"
        }
    }

    private func oneDecimal(_ seconds: Seconds) -> String {
        let tenths = Int64(min(max(seconds, 0), 1e6) * 10)
        return "\(tenths / 10).\(tenths % 10)"
    }

    func agentLogged(_ line: String) {
        show("  agent    \(line)")
        state.withLock {
            if line.contains("Offered v2 ") { $0.began = Clock.bootTime }
            if line.contains("Installed v2 ") { $0.ended = Clock.bootTime }
            if line.contains("the artifact is copied"), $0.ended == nil { $0.hasCopied = true }
        }
        for step in Self.steps where line.contains(step.mark) {
            state.withLock { _ = $0.seen.insert(step.name) }
        }
    }

    func agentNotified(_ message: String) {
        for line in message.split(separator: "\n") where line.hasPrefix("STATUS=") {
            let status = String(line.dropFirst("STATUS=".count))
            if let percent = status.split(separator: ": ").last?.split(separator: " ").first.flatMap({ Int($0) }),
                status.hasPrefix("Downloading")
            {
                drawBar(percent, status)
            } else if state.withLock({ $0.status != status }) {
                show("  status   \(status)")
            }
            state.withLock { $0.status = status }
        }
    }

    private func drawBar(_ percent: Int, _ status: String) {
        let filled = percent * 30 / 100
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        if isTerminal {
            state.withLock { $0.barIsOpen = true }
            emit("\r  status   \(bar) \(status)\u{1B}[K")
        } else {
            let isNew = state.withLock { state in
                defer { state.lastQuarter = percent / 25 }
                return state.lastQuarter != percent / 25
            }
            if isNew { emit("  status   \(bar) \(status)\n") }
        }
    }

    private func show(_ line: String) {
        let wasOpen = state.withLock { state in
            defer { state.barIsOpen = false }
            return state.barIsOpen
        }
        emit((wasOpen ? "\n" : "") + line + "\n")
    }

    private func emit(_ text: String) {
        state.withLock { $0.transcript += text }
        _ = Array(text.utf8).withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }

    var isComplete: Bool { state.withLock { $0.seen.count == Self.steps.count } }

    func hasSeen(_ name: String) -> Bool { state.withLock { $0.seen.contains(name) } }

    /// The expected events that have not happened, as one line.
    func missing(_ server: RunningServer) async -> String {
        var missing = Self.steps.map(\.name).filter { !hasSeen($0) }
        for version in 2...4 where await !server.hasSuccess(of: version) {
            missing.append("the report that v\(version) is installed")
        }
        return missing.joined(separator: ", ")
    }
}
