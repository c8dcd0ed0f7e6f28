import Glibc
import Simulator
import TestSupport
import Testing

/// A device with the real agent on a private bus, and a simulated server.
struct ControlFixture: Sendable {
    let device: AgentDevice
    private let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"

    init() async throws {
        device = try await AgentDevice()
        chmod(device.scratch.path, 0o711)
    }

    func withBus<Value: Sendable>(_ body: @Sendable (PrivateBus) async throws -> Value) async throws -> Value {
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy], body: body)
    }

    @discardableResult
    func withAgent<Value: Sendable>(
        _ versions: [Version] = [], faults: [Fault] = [], changes: String = "",
        body: @Sendable (String, AgentProcess, RunningServer) async throws -> Value
    ) async throws -> Value {
        try await withBus { bus async throws in
            try await SimulatedServer.run(device.server(versions, faults: faults)) { server async throws in
                try device.configure(server: server.url, changes: changes)
                return try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                    return try await body(bus.address, agent, server)
                }.value
            }
        }
    }
}
