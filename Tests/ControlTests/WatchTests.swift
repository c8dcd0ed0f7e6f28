import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `status --watch` on a real terminal (Python's pty, which shares no code with this project), and without one.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct WatchTests {
    private let fixture: ControlFixture

    init() async throws { fixture = try await ControlFixture() }

    /// Starts the command on a terminal of 40 columns, makes it 120 columns wide once the command has drawn, and ends the command
    /// with a signal once it has drawn again. It prints what came after the change, and the exit status.
    private static let terminal = """
        import fcntl, os, pty, signal, struct, sys, termios
        pid, terminal = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
            os.execvp(sys.argv[2], sys.argv[2:])
        buffer = b""
        def until(words):
            global buffer
            while words not in buffer:
                buffer += os.read(terminal, 4096)
            end = buffer.index(words) + len(words)
            text, buffer = buffer[:end], buffer[end:]
            return text
        before = until(b"Ctrl-C ends")
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        # Only a wide terminal has this in one row.
        after = until(b"longer than one row of the terminal.") + until(b"Ctrl-C ends")
        os.kill(pid, getattr(signal, sys.argv[1]))
        rest = until(b"\\x1b[?1049l") + buffer
        try:
            while True:
                part = os.read(terminal, 4096)
                if not part:
                    break
                rest += part
        except OSError:
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(repr({"status": status}))
        for name, text in (("before", before), ("after", after), ("rest", rest)):
            print("== " + name)
            sys.stdout.flush()
            os.write(1, text + b"\\n")
        """

    /// The rows of the last complete drawing of the screen.
    private func rows(_ text: Substring) -> [String] {
        let drawing = text.split(separator: "\u{1B}[H").last ?? ""
        return drawing.split(separator: "\u{1B}[J").first.map(String.init)?
            .replacing(#/\u{1B}\[[?]?[0-9]*[a-zA-Z]/#, with: "").split(
                separator: "\r\n", omittingEmptySubsequences: false
            )
            .map(String.init) ?? []
    }

    @Test(arguments: [("SIGINT", 130), ("SIGTERM", 143)])
    func itFitsTheTerminalAndLeavesItAsItWas(signal: String, status: Int) async throws {
        var version = try await fixture.device.publish(2, type: 1)
        let text = "A text of the publisher that is a good deal longer than one row of the terminal."
        version.promptUpgradeContent = text
        try await fixture.withAgent([version]) { bus, agent, _ async throws in
            #expect(await agent.says("Waiting for consent"))
            let result = try await Subprocess.run(
                .path("/usr/bin/python3"),
                arguments: ["-c", Self.terminal, signal, "\(programsDirectory)/upgradelinkctl", "status", "--watch"],
                environment: .inherit.updating([
                    "DBUS_SYSTEM_BUS_ADDRESS": bus, "TERM": "xterm", "NO_COLOR": nil, "COLUMNS": nil,
                ]), input: .none, output: .string(limit: 1 << 20), error: .string(limit: 4096))
            #expect(result.terminationStatus.isSuccess, "\(result.standardError)")
            let output = result.standardOutput
            #expect(output.hasPrefix("{'status': \(status)}"), "\(output)")
            let parts = output.split(separator: "== ")
            let (narrow, wide) = (rows(parts[1]), rows(parts[2]))
            #expect(narrow.allSatisfy { $0.count <= 40 } && narrow.count > wide.count, "\(narrow) \(wide)")
            #expect(
                narrow.contains { $0.hasPrefix("             ") }, "a long row continues below its value: \(narrow)")
            #expect(wide.contains { $0.hasSuffix(text) }, "\(wide)")
            #expect(output.contains("\u{1B}[?25h\u{1B}[?1049l"), "the cursor and the screen are back")
            #expect(parts[3].contains("Status:      "), "what was seen last remains")
        }
    }

    private struct Status: Decodable { var state: String }

    @Test func withoutATerminalEachChangeIsALine() async throws {
        try await fixture.withAgent { bus, agent, _ async throws in
            #expect(await agent.says("Up to date"))
            let states = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")), arguments: ["status", "--watch", "--json"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .sequence,
                error: .discarded
            ) { watch async throws in
                var states: [String] = []
                for try await line in watch.standardOutput.strings() {
                    // Each line is a document.
                    states.append(try JSONLine.decode(Status.self, from: Array(line.utf8)).state)
                    if states.contains("checking"), states.last == "idle" { break }
                }
                kill(watch.processIdentifier.value, SIGTERM)
                return states
            }
            #expect(states.terminationStatus == .exited(143))
            #expect(states.closureResult.contains("checking"), "\(states.closureResult)")
        }
    }
}
