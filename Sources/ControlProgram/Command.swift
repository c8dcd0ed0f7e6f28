import ArgumentParser
import Glibc
import Systemd
import UpdateCore

/// `upgradelinkctl`, the operator's hand on the agent.
public enum ControlProgram {
    public static func main() -> Never {
        Command.main()
        exit(0)
    }
}

struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgradelinkctl",
        abstract: "See and steer the updates of this box.",
        discussion: """
            Speaks to upgradelinkd over D-Bus. Anyone may look; acting is for root, the group upgradelink, and whom polkit \
            lets.

            Exit status: 0 done, or up to date; 1 refused, or (status) something is pending or under way; 2 (status) \
            something is wrong, or the agent cannot be reached; 64 wrong arguments; 77 not allowed.
            """,
        version: productVersion,
        subcommands: [
            StatusCommand.self, Check.self, Accept.self, Defer.self, Reject.self, Cancel.self, Retry.self, Install.self,
            HistoryCommand.self, Inhibit.self, Limit.self, ConfigCommand.self, Doctor.self,
        ], defaultSubcommand: StatusCommand.self)
}

/// What every command that goes to the agent does about errors: one line, and a fitting exit status.
protocol AgentCommand: ParsableCommand, Sendable {
    @MainActor func run(_ agent: AgentClient) throws
}

extension AgentCommand {
    func run() throws {
        // Called by `main`, on the main thread.
        try MainActor.assumeIsolated {
            do {
                try run(try AgentClient())
            } catch let error as BusError {
                complain(AgentClient.line(error))
                throw ExitCode(AgentClient.exitStatus(error))
            }
        }
    }
}
