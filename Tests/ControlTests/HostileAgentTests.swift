import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// upgradelinkctl against an agent that was taken over (Tests/Attacks/agent.py), and on a bus that is flooded.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct HostileAgentTests {
    private let device: AgentDevice
    private let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"

    init() async throws { device = try await AgentDevice() }

    private func withAttack(
        _ mode: String..., policies: [String] = [], body: @Sendable (PrivateBus) async throws -> Void
    ) async throws {
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy] + policies) { bus async throws in
            let socket = "\(device.scratch.path)/bus"
            _ = try await Subprocess.run(
                .path("/usr/bin/python3"),
                arguments: .init(["\(repositoryDirectory)/Tests/Attacks/agent.py", socket] + mode),
                input: .none, output: .sequence, error: .discarded
            ) { attack async throws in
                for try await line in attack.standardOutput.strings() where line == "ready" { break }
                defer { kill(attack.processIdentifier.value, SIGKILL) }
                try await body(bus)
            }
        }
    }

    /// Printable ASCII, line breaks, and the one other character of the attack that is visible.
    private func isHarmless(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { (0x20...0x7E).contains($0.value) || $0 == "\n" || $0 == "\u{1F600}" }
    }

    private struct Status: Decodable {
        var statusText: String
        var lastError: String
    }

    @Test func noCharacterOfATakenOverAgentReachesTheTerminal() async throws {
        try device.configure(server: Loopback.unusedPort)
        try await withAttack("hostile") { bus async throws in
            for arguments in [
                ["status"], ["status", "--json"], ["history"], ["history", "--json"], ["check"], ["accept"], ["reject"],
                ["cancel"], ["retry", "7"], ["defer", "2h"], ["limit", "1K"], ["inhibit", "--", "true"],
                ["install", "\(device.scratch.path)/live/version"], ["doctor", "--root", device.scratch.path],
            ] {
                let run = try await ControlRun.of(arguments, bus: bus.address)
                #expect(isHarmless(run.output) && isHarmless(run.error), "\(arguments): \(run)")
                #expect(!(run.output + run.error).contains("\nForged"), "\(arguments): \(run)")
                #expect(arguments[0] == "install" || (run.output + run.error).contains("owned"), "\(arguments): \(run)")
            }
            // The characters are not lost: programs get them.
            let json = try await ControlRun.of(["status", "--json"], bus: bus.address)
            let status = try JSONLine.decode(Status.self, from: Array(json.output.utf8))
            #expect(status.statusText.unicodeScalars.starts(with: "a\u{1B}]0;owned\u{7}b".unicodeScalars))
            #expect(status.lastError.unicodeScalars.contains("\u{E0041}"))
        }
    }

    @Test func aStatusWithoutAStateIsAnError() async throws {
        try await withAttack("without", "State") { bus async throws in
            let run = try await ControlRun.of(["status"], bus: bus.address)
            #expect(run.status != .exited(0) && run.output.isEmpty && run.error.contains("no State"), "\(run)")
        }
    }

    /// On a terminal there are colours, and `--watch` uses the whole screen.
    @Test func aTerminalGetsNoCommandsButOurs() async throws {
        try await withAttack("flood") { bus async throws in
            for (arguments, seconds) in [("status", 20), ("history", 20), ("status --watch", 6)] {
                let command = "timeout \(seconds) \(programsDirectory)/upgradelinkctl \(arguments)"
                let result = try await Subprocess.run(
                    .path("/usr/bin/script"), arguments: ["-qec", command, "/dev/null"],
                    environment: .inherit.updating([
                        "DBUS_SYSTEM_BUS_ADDRESS": bus.address, "TERM": "xterm", "NO_COLOR": nil,
                    ]),
                    input: .none, output: .string(limit: 1 << 20), error: .discarded)
                var output = result.standardOutput
                #expect(output.contains("\u{1B}"), "\(arguments): \(output)")
                let ours = [
                    "\u{1B}[32m", "\u{1B}[33m", "\u{1B}[31m", "\u{1B}[0m", "\u{1B}[?1049h\u{1B}[?25l",
                    "\u{1B}[H\u{1B}[?7l", "\u{1B}[K", "\u{1B}[?7h\u{1B}[J", "\u{1B}[?25h\u{1B}[?1049l", "\r\n",
                ]
                for command in ours { output.replace(command, with: "") }
                #expect(isHarmless(output), "\(arguments): \(output.debugDescription)")
            }
        }
    }

    /// The memory is limited to 32 MiB, and each second brings as many signals.
    @Test func signalsWithoutAPauseAreShownTenTimesASecondAtMost() async throws {
        try await withAttack("flood") { bus async throws in
            let limit = hasSanitizer ? [] : ["/usr/bin/prlimit", "--data=33554432"]
            let run = try await ControlRun.of(
                ["status", "--watch"], bus: bus.address, prefix: limit + ["/usr/bin/timeout", "4"])
            // timeout(1) ended it.
            #expect(run.status == .exited(124), "\(run.status) \(run.error)")
            let lines = run.output.split(separator: "\n")
            #expect((2...41).contains(lines.count), "\(lines.count)")
            #expect(isHarmless(run.output))
        }
    }

    @Test func longValuesAndListsAreCut() async throws {
        try await withAttack("huge") { bus async throws in
            for arguments in [["status"], ["status", "--json"], ["history"], ["history", "--json"], ["accept"]] {
                let run = try await ControlRun.of(arguments, bus: bus.address)
                #expect(run.status == .exited(arguments[0] == "history" ? 0 : 1))
                #expect((1...600_000).contains(run.output.utf8.count + run.error.utf8.count), "\(arguments)")
                #expect(isHarmless(run.output) && isHarmless(run.error))
            }
        }
    }

    @Test(arguments: [
        ("State", ["status"]), ("StatusText", ["status"]), ("InstalledVersion", ["status", "--json"]),
        ("Offer", ["accept"]), ("Progress", ["status"]), ("NextCheck", ["status"]), ("Deadline", ["status"]),
        ("DeferralsLeft", ["status"]), ("LastErrorCode", ["status"]), ("RefusedVersions", ["status"]),
        ("Inhibitors", ["status", "--watch"]), ("GetAll", ["status"]),
        ("History", ["history"]), ("History", ["retry"]), ("Inhibit", ["inhibit", "--", "true"]), ("empty", ["status"]),
        ("empty", ["history"]), ("empty", ["install", "/etc/passwd"]), ("empty", ["inhibit", "--", "true"]),
    ])
    func aReplyOfAnotherTypeIsAnError(property: String, arguments: [String]) async throws {
        try await withAttack("type", property) { bus async throws in
            let signature = "\(device.scratch.path)/file"
            try device.scratch.write("file", "x")
            try device.scratch.write("file.minisig", "x")
            let run = try await ControlRun.of(
                arguments.map { $0 == "/etc/passwd" ? signature : $0 }, bus: bus.address)
            #expect(run.status == .exited(arguments[0] == "inhibit" ? 125 : 2), "\(run)")
            #expect(
                run.error.hasPrefix("the agent sent a reply that upgradelinkctl does not understand (")
                    && run.error.split(separator: "\n").count == 1 && run.output.isEmpty, "\(run)")
        }
    }

    @Test func argumentsAreQuotedWithoutTheirControlCharacters() async throws {
        for arguments in [
            ["\u{1B}[2Jstatus"], ["status", "--\u{9B}5m\nForged"], ["reject", "--version-code=7\nForged"],
            ["retry", "7\nForged"], ["defer", "\u{1B}]0;x\u{7}"], ["limit", "\u{202E}\u{8}\r"],
            ["install", "/nonexistent/\u{1B}[31m\u{2066}"], ["config", "--root", "/nonexistent/\u{1B}[31m\n"],
            ["help", "\u{7}"], ["inhibit", "--", "/nonexistent/\u{1B}[5m"],
        ] {
            let run = try await ControlRun.of(arguments, bus: "unix:path=/nonexistent")
            #expect(isHarmless(run.output) && isHarmless(run.error), "\(arguments): \(run)")
            #expect(!run.error.contains("\nForged"), "\(arguments): \(run)")
        }
        let wrong = try await ControlRun.of(["status", "--nosuch"], bus: "")
        #expect(wrong.status == .exited(64) && wrong.error.contains("Unknown option '--nosuch'"), "\(wrong)")
    }

    // MARK: a flooded bus

    @Test func aLostReplyIsRequestedAgain() async throws {
        try await withAttack("drop", "3") { bus async throws in
            #expect(try await ControlRun.of(["status"], bus: bus.address).output.hasPrefix("Status: "))
        }
    }

    @Test func aChangeIsRequestedOnce() async throws {
        try await withAttack("drop", "1000") { bus async throws in
            let started = Clock.bootTime
            let run = try await ControlRun.of(["status"], bus: bus.address)
            #expect(run.status == .exited(2) && run.error.contains("does not respond"), "\(run)")
            // Three calls, each with its time limit. A change that is repeated would take as long, on a slow machine too.
            let repeated = Clock.bootTime - started
            #expect(repeated >= 9)
            let before = Clock.bootTime
            let change = try await ControlRun.of(["check"], bus: bus.address)
            #expect(change.status == .exited(2) && change.error.contains("does not respond"), "\(change)")
            #expect(Clock.bootTime - before < repeated * 0.6)
        }
    }

    /// Another process has all the connections that the bus allows a user, for three seconds.
    @Test func aRefusedConnectionIsTriedAgain() async throws {
        let limits = try device.scratch.write(
            "limits.conf",
            """
            <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
             "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig><limit name="max_connections_per_user">8</limit></busconfig>
            """)
        try await withAttack("hold", "20", "3", policies: [limits]) { bus async throws in
            let started = Clock.bootTime
            let run = try await ControlRun.of(["check"], bus: bus.address)
            #expect(run.error == "upgradelinkd is not running: systemctl start upgradelinkd\n", "\(run)")
            #expect(Clock.bootTime - started > 1, "the bus was not full")
        }
        try await withAttack("hold", "20", "60", policies: [limits]) { bus async throws in
            let run = try await ControlRun.of(["status"], bus: bus.address)
            #expect(run.status == .exited(2) && run.error.contains("tried for 10 s"), "\(run)")
        }
    }
}
