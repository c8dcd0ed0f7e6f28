import Glibc
import Host
import Subprocess
import Synchronization
import SystemPackage
import UpdateCore

@testable import Installation

/// A daemon that a test starts.
enum RunningService {
    /// Runs a service for as long as the body runs.
    static func run<Value: Sendable>(
        _ command: [String], environment: [String: String] = [:], log: String,
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        var variables: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in environment { variables[.init(stringLiteral: name)] = value }
        let output = try FileDescriptor.open(
            FilePath(log), .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
        return try await Subprocess.run(
            .name(command[0]), arguments: .init(Array(command.dropFirst())),
            environment: .inherit.updating(variables), input: .none,
            output: .fileDescriptor(output, closeAfterSpawningProcess: false),
            error: .fileDescriptor(output, closeAfterSpawningProcess: true)
        ) { service in
            defer { try? service.send(signal: .kill) }
            return try await body()
        }.closureResult
    }
}

/// What a module printed.
final class Collected: Sendable {
    private let collected = Mutex<[String]>([])
    func add(_ report: InstallReport) {
        if case .output(let line) = report { collected.withLock { $0.append(line) } }
    }
    var lines: [String] { collected.withLock { $0 } }
}
