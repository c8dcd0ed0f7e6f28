import Host
import Subprocess
import SystemPackage

/// A system bus for one device in a demonstration or a test. It is a real dbus-daemon.
public struct PrivateBus: Sendable {
    public let address: String

    /// Starts a bus, calls `body` with it, and stops the bus.
    ///
    /// - Parameters:
    ///   - directory: the directory for the bus's socket and configuration.
    ///   - policies: paths of policy files (dbus-daemon(1), `busconfig`).
    public static func run<Value: Sendable>(
        directory: String, policies: [String], body: @Sendable (PrivateBus) async throws -> Value
    ) async throws -> Value {
        let socket = "\(directory)/bus"
        try? Files.remove(socket)
        // The default policy of dbus's own system.conf.
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
        try Files.replace("\(directory)/bus.conf", with: Array(configuration.utf8), mode: 0o644)
        let result = try await Subprocess.run(
            .name("dbus-daemon"),
            arguments: ["--config-file=\(directory)/bus.conf", "--nofork", "--nopidfile", "--nosyslog"],
            input: .none, output: .discarded, error: .discarded
        ) { daemon in
            // Its socket is there a moment before it listens.
            for _ in 0..<200 where (try? LocalSocket(connectingTo: socket)) == nil {
                try await Task.sleep(for: .milliseconds(25))
            }
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

    /// The environment variable that makes a program use this bus.
    public var environment: [String: String] { ["DBUS_SYSTEM_BUS_ADDRESS": address] }

    /// The environment variable that makes a program find no bus.
    public static let none = ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"]
}
