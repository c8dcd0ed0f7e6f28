import Glibc
import Host
import Subprocess
import TestSupport
import Testing

/// Arguments, help and exit statuses that need no agent.
@Suite struct CommandLineTests {
    private let commands = [
        "status", "check", "accept", "defer", "reject", "cancel", "retry", "install", "history", "inhibit", "limit",
        "config", "doctor", "verify", "report",
    ]

    private func ctl(_ arguments: String...) async throws -> ControlRun {
        try await ControlRun.of(arguments, bus: "unix:path=/nonexistent")
    }

    @Test(arguments: [
        (["acept"], "unknown command \"acept\"; did you mean accept? See upgradelinkctl --help\n"),
        (["help", "instal"], "unknown command \"instal\"; did you mean install? See upgradelinkctl --help\n"),
        (["statsu", "--json"], "unknown command \"statsu\"; did you mean status? See upgradelinkctl --help\n"),
        (["frobnicate"], "unknown command \"frobnicate\". See upgradelinkctl --help\n"),
        (["--json", "stauts"], "unknown command \"stauts\"; did you mean status? See upgradelinkctl --help\n"),
        (["--watch", "stauts"], "unknown command \"stauts\"; did you mean status? See upgradelinkctl --help\n"),
        (
            ["--json=pretty", "--watch", "acept"],
            "unknown command \"acept\"; did you mean accept? See upgradelinkctl --help\n"
        ),
        (["--json", "pretty"], "unknown command \"pretty\"; did you mean --json=pretty? See upgradelinkctl --help\n"),
        (
            ["--json", "history"],
            "write the command history first, and its options behind it. See upgradelinkctl --help\n"
        ),
    ])
    func anUnknownCommandIsNamed(arguments: [String], error: String) async throws {
        let run = try await ControlRun.of(arguments, bus: "")
        #expect(run.status == .exited(64) && run.error == error && run.output.isEmpty, "\(run)")
    }

    @Test func anUnknownOptionIsNamed() async throws {
        for arguments in [["status", "--jsno"], ["--jsno"], ["check", "--wiat"], ["history", "--lins", "3"]] {
            let run = try await ControlRun.of(arguments, bus: "")
            let option = arguments.first { $0.hasPrefix("--") } ?? ""
            #expect(run.status == .exited(64) && run.error.contains("Unknown option '\(option)'"), "\(run)")
        }
        #expect(try await ctl("status", "--jsno").error.contains("--json"))
    }

    @Test func everyCommandHasHelp() async throws {
        let all = try await ctl("--help").output
        for command in commands {
            #expect(all.contains("  \(command)"), "\(command)")
            let help = try await ctl(command, "--help")
            #expect(help.status == .exited(0) && help.output.contains("USAGE: upgradelinkctl \(command)"), "\(help)")
            #expect(help.output.hasPrefix("OVERVIEW: "))
            #expect(try await ctl("help", command).output == help.output)
        }
        for shell in ["bash", "zsh", "fish"] {
            let script = try await ctl("--generate-completion-script", shell)
            #expect(commands.allSatisfy { script.output.contains($0) } && script.status == .exited(0))
        }
    }

    @Test func wrongArgumentsAreUsageErrors() async throws {
        for arguments in [
            ["check", "--timeout", "10min"], ["check", "--wait", "--timeout", "soon"], ["history", "-n", "x"],
            ["history", "-n=-1"], ["status", "--json=long"], ["status", "--watch", "--json=pretty"], ["inhibit"],
        ] {
            let run = try await ControlRun.of(arguments, bus: "")
            #expect(run.status == .exited(64) && !run.error.isEmpty, "\(arguments): \(run)")
        }
    }
}
