import Host
import Subprocess
import SystemPackage

/// A system bus for one box of a demonstration or a test: a real dbus-daemon, with the policy that is shipped.
public struct PrivateBus: Sendable {
    public let address: String

    /// - Parameters:
    ///   - folder: where its socket and its configuration go.
    ///   - policies: policy files (dbus-daemon(1), `busconfig`).
    public static func run<Value: Sendable>(
        folder: String, policies: [String], body: @Sendable (PrivateBus) async throws -> Value
    ) async throws -> Value {
        let socket = "\(folder)/bus"
        try? Files.remove(socket)
        // As in dbus's own system.conf.
        let configuration = """
            <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
             "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig>
              <type>system</type>
              <listen>unix:path=\(socket)</listen>
              <auth>EXTERNAL</auth>
              <policy context="default">
                <allow user="*"/>
                <deny own="*"/>
                <deny send_type="method_call"/>
                <allow send_type="signal"/>
                <allow send_requested_reply="true" send_type="method_return"/>
                <allow send_requested_reply="true" send_type="error"/>
                <allow receive_type="method_call"/>
                <allow receive_type="method_return"/>
                <allow receive_type="error"/>
                <allow receive_type="signal"/>
                <allow send_destination="org.freedesktop.DBus"/>
              </policy>
              \(policies.map { "<include>\($0)</include>" }.joined(separator: "\n  "))
            </busconfig>

            """
        try Files.replace("\(folder)/bus.conf", with: Array(configuration.utf8), mode: 0o644)
        let result = try await Subprocess.run(
            .name("dbus-daemon"),
            arguments: ["--config-file=\(folder)/bus.conf", "--nofork", "--nopidfile", "--nosyslog"],
            input: .none, output: .discarded, error: .discarded
        ) { daemon in
            for _ in 0..<200 where !Files.exists(socket) { try await Task.sleep(for: .milliseconds(25)) }
            let value: Value
            do {
                value = try await body(PrivateBus(address: "unix:path=\(socket)"))
            } catch {
                try? daemon.send(signal: .terminate)
                throw error
            }
            try? daemon.send(signal: .terminate)
            return value
        }
        return result.closureResult
    }

    /// What points a program at it.
    public var environment: [String: String] { ["DBUS_SYSTEM_BUS_ADDRESS": address] }

    /// For programs that are to find no bus.
    public static let none = ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"]
}
