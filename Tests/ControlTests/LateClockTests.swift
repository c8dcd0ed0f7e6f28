import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing
import UpdateCore

/// A device, and its server, whose clocks show a time after 2038.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct LateClockTests {
    /// The agent polls, updates, stores and shows the time, and so does the next one, a day later.
    @Test(arguments: [(2_208_988_800, "2040-01-0"), (4_102_444_800, "2100-01-0"), (253_402_000_000, "9999-12-2")])
    func anAgentAfter2038StoresAndShowsTheTime(now: Int, date: String) async throws {
        let fixture = try await ControlFixture()
        let device = fixture.device
        let clock = try FakeClock(device.scratch, shows: now)
        let version = try await device.publish(2)
        var configuration = device.server([version])
        configuration.clockOffset = Double(now) - Clock.wallTime.unixSeconds
        let server = configuration
        let clockEnvironment = clock.environment.merging(["TZ": "UTC"]) { $1 }
        try await fixture.withBus { bus async throws in
            try await SimulatedServer.run(server) { server async throws in
                try device.configure(server: server.url, changes: "[poll]\ninterval = \"6h\"")
                let environment = bus.environment.merging(clockEnvironment) { $1 }
                @Sendable func command(_ name: String) async throws -> String {
                    let run = try await ControlRun.of(
                        [name], bus: bus.address,
                        prefix: ["/usr/bin/env"] + clockEnvironment.map { "\($0.key)=\($0.value)" })
                    #expect(run.status == .exited(0), "\(run)")
                    return run.output
                }
                try await AgentProcess.run(device, environment: environment) { agent async throws in
                    #expect(await agent.updates(to: 2, server), "\(agent.statuses)")
                    let status = try await command("status")
                    let lastCheck = status.split(separator: "\n").first { $0.contains("Last check") } ?? ""
                    #expect(lastCheck.contains(date) && lastCheck.contains(" ago)"), "\(status)")
                    let history = try await command("history")
                    #expect(history.contains(date), "\(history)")
                }
                #expect(await server.reports("app_start").first?.contains("\"launchTime\":\"\(date)") == true)
                // The signature of no request was refused because of its time.
                #expect(await server.records.allSatisfy { $0.code != 401_001 })

                let state = try JSONLine.decode(
                    AgentState.self, from: Array(try device.scratch.read("state/state.json").utf8))
                let stored = try [#require(state.poll.lastResponse), #require(state.history.last).ended]
                #expect(stored.allSatisfy { (Double(now)...Double(now + 600)).contains($0.unixSeconds) }, "\(stored)")

                try clock.set(now + 86_400)
                try await AgentProcess.run(device, environment: environment) { agent async throws in
                    #expect(await agent.says("Up to date (v2, code 2)"), "\(agent.statuses)")
                    #expect(await agent.logs("On D-Bus as"))
                    let history = try await command("history")
                    #expect(history.contains(date) && history.contains("installed"), "\(history)")
                    let status = try await command("status")
                    #expect(status.contains("next check"), "\(status)")
                }
            }
        }
    }
}
