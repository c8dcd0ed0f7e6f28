import ArgumentParser
import Glibc
import Host
import Systemd
import UpdateCore

struct Inhibit: AgentCommand {
    static let passesDescriptors = true

    static let configuration = CommandConfiguration(
        abstract: "Run a command, and delay updates while it runs.",
        discussion: "The exit status is the command's. A forced version is delayed for at most install.inhibitLimit.")

    @ArgumentParser.Option(help: "A colon-separated list of download, install and reboot.")
    var what = "install:reboot"

    @ArgumentParser.Option(help: "The name that the status shows; the default is the command's name.")
    var who: String?

    @ArgumentParser.Option(help: "The reason that the status shows.")
    var why = ""

    @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.")
    var command: [String] = []

    func run(_ agent: AgentClient) throws {
        guard let program = command.first else { throw ValidationError("A command is required after --.") }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        // The bus and the descriptor stay open until this process ends.
        let held = try agent.call("Inhibit", .string(what), .string(who ?? name), .string(why))
        guard case .descriptor? = held.first else { throw AgentClient.unexpected("the reply to Inhibit") }
        ChildProcess.start(
            Program(program, Array(command.dropFirst()), streams: .inherited, timeLimit: nil)
        ) { end in
            withExtendedLifetime((agent, held)) {}
            switch end {
            case .exited(let status): Glibc.exit(status)
            // The exit status that shells use.
            case .signalled(let signal): Glibc.exit(128 + signal)
            case .timedOut, .couldNotStart:
                complain("\(end)")
                Glibc.exit(127)
            }
        }
        MainQueue.serve()
    }
}
