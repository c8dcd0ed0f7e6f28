import ArgumentParser
import Glibc
import Host
import UpdateCore

@main
struct SimulatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgradelink-sim",
        abstract: "A simulated UpgradeLink server, and releases for it: for first steps, tests and integrators.",
        discussion: """
            release packs, signs and registers a version; serve offers it to devices. upgradelink-sim(1) has examples.
            """,
        version: productVersion,
        subcommands: [Serve.self, ReleaseCommand.self, FleetCommand.self, Demo.self], defaultSubcommand: Serve.self)
}

/// An error that is printed as one line, and gives the exit status of sysexits.h.
struct CommandFailure: Error {
    var line: String
    var status: CInt

    init(_ line: String, status: CInt) {
        self.line = line
        self.status = status
    }
}

/// Runs the work of a command, and prints its failure.
func reportingFailure<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch let failure as CommandFailure {
        complain(failure.line)
        throw ExitCode(failure.status)
    }
}

func readFile(_ path: String) throws(SystemError) -> String {
    String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
}

/// Prints a line without buffering, also if standard output is a pipe.
func say(_ line: String) {
    _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func complain(_ line: String) {
    _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
