import ArgumentParser
import Glibc
import Host
import Simulator

@main
struct SimulatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgradelink-sim",
        abstract: "A server that behaves as UpgradeLink's does, for demonstrations, tests and integrators.",
        subcommands: [Serve.self, Demo.self, FleetCommand.self], defaultSubcommand: Serve.self)
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve what a configuration file says, on loopback, until stopped.",
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
            // Until a signal ends the process.
            while true { try await Task.sleep(for: .seconds(3600)) }
        }
    }
}

func readFile(_ path: String) throws -> String {
    String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
}

/// A line on standard output, at once, whatever it is connected to.
func say(_ line: String) {
    _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func complain(_ line: String) {
    _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
