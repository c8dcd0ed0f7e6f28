import ArgumentParser
import Glibc
import Subprocess
import SystemPackage
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

    func run(_ agent: AgentClient) async throws {
        guard let program = command.first else { throw ValidationError("A command is wanted after --.") }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        // The bus and the descriptor stay open until this process ends.
        let held = try agent.call("Inhibit", .string(what), .string(who ?? name), .string(why))
        let result = try await Subprocess.run(
            program.contains("/") ? .path(FilePath(program)) : .name(program),
            arguments: .init(Array(command.dropFirst())),
            input: .fileDescriptor(.standardInput, closeAfterSpawningProcess: false),
            output: .fileDescriptor(.standardOutput, closeAfterSpawningProcess: false),
            error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false))
        withExtendedLifetime((agent.bus, held)) {}
        switch result.terminationStatus {
        case .exited(0): break
        case .exited(let status): throw ExitCode(status)
        // As shells have it.
        case .signaled(let signal): throw ExitCode(128 + signal)
        }
    }
}
