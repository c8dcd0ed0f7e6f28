import ArgumentParser
import DeviceChecks
import Glibc
import Systemd
import UpdateCore

/// `upgradelinkctl`, the operator's command for the agent.
public enum ControlProgram {
    public static func main() -> Never {
        AgentRights.runIfRequested()
        let arguments = Arguments(Array(CommandLine.arguments.dropFirst()))
        if let problem = arguments.unknownCommand {
            complain(problem)
            exit(EX_USAGE)
        }
        do {
            var command = try Command.parseAsRoot(arguments.forParser)
            try command.run()
            exit(0)
        } catch {
            let text = message(for: error, arguments)
            let status = Command.exitCode(for: error)
            // Help and completion scripts contain nothing but this program's own text. An error quotes the arguments.
            if status == .success { print(text) } else if !text.isEmpty { complain(Shown(lines: text)) }
            exit(status.rawValue)
        }
    }

    /// The message with the usage. It quotes the arguments, which must not begin lines of their own.
    private static func message(for error: any Error, _ arguments: Arguments) -> String {
        guard arguments.words.contains(where: { $0.hiddenCharacter != nil }) else {
            return Command.fullMessage(for: error)
        }
        do {
            _ = try Command.parseAsRoot(arguments.forParser.map { $0.sanitized(limit: Shown.valueLimit) })
            return Command.fullMessage(for: error).sanitized(limit: Shown.valueLimit)
        } catch let harmless {
            return Command.fullMessage(for: harmless)
        }
    }
}

struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgradelinkctl",
        abstract: "Show and control the updates of this device.",
        discussion: """
            Controls upgradelinkd over D-Bus. Every user can read the state. Root, the members of the group upgradelink and \
            users that polkit authorises can control the agent.

            Exit status: 0 done, or up to date; 1 refused, not installed, or (status) something is pending or in progress; \
            2 (status) something is wrong, or the agent cannot be reached; 3 (--wait) it waits for consent, a maintenance window, \
            an inhibitor or a reboot; 64 wrong arguments; 77 not allowed. upgradelinkctl(1) has the others.
            """,
        version: productVersion,
        subcommands: [
            StatusCommand.self, Check.self, Accept.self, Defer.self, Reject.self, Cancel.self, Retry.self, Install.self,
            HistoryCommand.self, Inhibit.self, Limit.self, ConfigCommand.self, Doctor.self, Verify.self,
            ReportCommand.self, BootWait.self,
        ], defaultSubcommand: StatusCommand.self)
}

/// A command that calls the agent. An error of the bus is printed as one line and gives the exit status.
protocol AgentCommand: ParsableCommand, Sendable {
    /// Whether descriptors are passed. The bus delivers none otherwise: a taken-over agent could send them without end.
    static var passesDescriptors: Bool { get }
    /// For an error of the bus, or one that the agent replied.
    static func exitStatus(_ error: BusError) -> CInt
    @MainActor func run(_ agent: AgentClient) throws
}

extension AgentCommand {
    static var passesDescriptors: Bool { false }

    static func exitStatus(_ error: BusError) -> CInt { AgentClient.exitStatus(error) }

    func run() throws { try runWithAgent() }

    func runWithAgent() throws {
        // `main` calls this on the main thread.
        try MainActor.assumeIsolated {
            do {
                try run(try AgentClient(passesDescriptors: Self.passesDescriptors))
            } catch let error as BusError {
                complain("\(AgentClient.line(error))")
                throw ExitCode(Self.exitStatus(error))
            }
        }
    }
}
