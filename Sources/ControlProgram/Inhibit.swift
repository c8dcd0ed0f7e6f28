import ArgumentParser
import Glibc
import Host
import Systemd
import UpdateCore

struct Inhibit: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command, and hold updates back while it runs.",
        discussion: "Ends as the command does. Forced versions are held back for install.inhibitLimit at most.")

    @ArgumentParser.Option(help: "A colon-separated list of download, install and reboot.")
    var what = "install:reboot"

    @ArgumentParser.Option(help: "Who holds them back, for people; else the command's name.")
    var who: String?

    @ArgumentParser.Option(help: "Why, for people.")
    var why = ""

    @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.")
    var command: [String] = []

    func run(_ agent: AgentClient) throws {
        guard let program = command.first else { throw ValidationError("A command is wanted after --.") }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        // The bus and the descriptor stay open until this process ends.
        let held = try agent.call("Inhibit", .string(what), .string(who ?? name), .string(why))
        ChildProcess.start(
            Program(program, Array(command.dropFirst()), streams: .inherited, timeLimit: nil)
        ) { end in
            withExtendedLifetime((agent.bus, held)) {}
            switch end {
            case .exited(let status): Glibc.exit(status)
            // As shells have it.
            case .signalled(let signal): Glibc.exit(128 + signal)
            case .timedOut, .couldNotStart:
                complain("\(end)")
                Glibc.exit(127)
            }
        }
        MainQueue.serve()
    }
}
