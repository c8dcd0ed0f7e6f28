import ArgumentParser
import Glibc
import Host
import Simulator

@main
struct SimulatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgradelink-sim",
        abstract: "A simulated UpgradeLink server, for demonstrations, tests and integrators.",
        subcommands: [Serve.self, Demo.self, FleetCommand.self], defaultSubcommand: Serve.self)
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server of a configuration file, on loopback, until a signal ends it.",
        discussion: "Prints a line for each request. See config/upgradelink-sim.toml for every key.")

    @Argument(help: "The configuration, a TOML file.")
    var configuration: String

    func run() async throws {
        let settings: SimulatorConfiguration
        do {
            settings = try SimulatorConfiguration(toml: try readFile(configuration))
        } catch {
            complain("\(configuration): \(error)")
            throw ExitCode(EX_CONFIG)
        }
        try await SimulatedServer.run(settings, log: { say($0) }) { server in
            say("Listening on \(server.url)")
            // A signal ends the process.
            while true { try await Task.sleep(for: .seconds(3600)) }
        }
    }
}

func readFile(_ path: String) throws -> String {
    String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
}

/// Prints a line without buffering, also if standard output is a pipe.
func say(_ line: String) {
    _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func complain(_ line: String) {
    _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
