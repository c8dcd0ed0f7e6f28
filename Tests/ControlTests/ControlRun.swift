import Subprocess
import SystemPackage
import TestSupport

/// A run of the real upgradelinkctl.
struct ControlRun: Sendable {
    var status: TerminationStatus
    var output: String
    var error: String

    /// - Parameter prefix: a program that runs the command, and its arguments.
    static func of(
        _ arguments: [String], bus: String, user: Int = 0, prefix: [String] = []
    ) async throws -> ControlRun {
        var command = prefix + ["\(programsDirectory)/upgradelinkctl"] + arguments
        if user != 0 {
            command = ["/usr/bin/setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"] + command
        }
        let result = try await Subprocess.run(
            .path(FilePath(command[0])), arguments: .init(Array(command.dropFirst())),
            environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20))
        return ControlRun(
            status: result.terminationStatus, output: result.standardOutput, error: result.standardError)
    }
}
