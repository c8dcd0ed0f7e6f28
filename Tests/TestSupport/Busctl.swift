public import Simulator
import Subprocess
import SystemPackage

extension PrivateBus {
    public struct CallResult: Sendable {
        public var isSuccess: Bool
        public var output: String
        public var error: String
    }

    private static let service = ["org.upgradelink.Agent1", "/org/upgradelink/Agent1", "org.upgradelink.Agent1"]

    /// Runs busctl(1) as a user of this machine.
    ///
    /// - Parameter group: a supplementary group of the user.
    public func busctl(_ arguments: [String], user: Int = 0, group: Int? = nil) async throws -> CallResult {
        var command = ["busctl", "--address=\(address)", "--no-pager"] + arguments
        if user != 0 {
            let groups = group.map { "--groups=\($0)" } ?? "--clear-groups"
            command = ["setpriv", "--reuid=\(user)", "--regid=\(user)", groups] + command
        }
        let result = try await Subprocess.run(
            .name(command[0]), arguments: .init(Array(command.dropFirst())), output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20))
        return CallResult(
            isSuccess: result.terminationStatus.isSuccess, output: result.standardOutput.trimmingEnd,
            error: result.standardError.trimmingEnd)
    }

    /// Calls a method of the agent.
    ///
    /// - Parameter arguments: the signature, then the values, as busctl takes them.
    public func call(
        _ method: String, _ arguments: String..., user: Int = 0, group: Int? = nil
    ) async throws -> CallResult {
        try await busctl(["call"] + Self.service + [method] + arguments, user: user, group: group)
    }

    /// A property as busctl prints it; nil while there is no agent.
    public func property(_ name: String, user: Int = 0) async -> String? {
        guard let result = try? await busctl(["get-property"] + Self.service + [name], user: user), result.isSuccess
        else { return nil }
        return result.output
    }
}

extension String {
    fileprivate var trimmingEnd: String {
        var rest = self[...]
        while rest.last?.isNewline == true { rest.removeLast() }
        return String(rest)
    }
}
