import Simulator
import Subprocess
import TestSupport
import Testing

/// `upgradelinkctl doctor` below another root, with a real server. DoctorTests of SystemTests checks a whole device.
@Suite struct CheckupTests {
    private func doctor(_ device: AgentDevice, _ arguments: String...) async throws -> ControlRun {
        try await ControlRun.of(
            ["doctor", "--root", device.scratch.path, "--programs", programsDirectory] + arguments,
            bus: "unix:path=/nonexistent")
    }

    /// The server counts a version that it offers as handed out. Only the device itself may get it.
    @Test func aCheckupUsesUpNoOffer() async throws {
        let device = try await AgentDevice()
        var version = try await device.publish(2)
        version.staged = 1
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let run = try await doctor(device)
            let checks = await server.records.filter { $0.path == "/v1/url/upgrade" }
            #expect(checks.count == 1 && checks[0].body.contains("\"versionCode\":2147483647"), "\(run) \(checks)")
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.updates(to: 2, server), "\(agent.statuses)")
            }
        }
    }

    @Test func theExitStatusSaysWhetherSomethingIsBad() async throws {
        let device = try await AgentDevice()
        try device.configure(server: Loopback.unusedPort)
        let run = try await doctor(device)
        #expect(run.output.contains("BAD") && run.status == .exited(1), "\(run)")
        let json = try await doctor(device, "--json")
        #expect(json.output.contains("\"bad\"") && json.status == .exited(1), "\(json)")
        try device.configure(server: Loopback.unusedPort, changes: "[poll]\ninterval = false")
        let wrong = try await doctor(device)
        #expect(wrong.output.contains("poll.interval: found false") && wrong.status == .exited(1), "\(wrong)")
    }
}
