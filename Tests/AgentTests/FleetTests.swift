import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// Many real agents, and a server that grants a few offers at a time: every device is updated.
@Suite struct FleetTests {
    /// `make soak` starts two hundred.
    private static let count = getenv("UPGRADELINKD_SOAK") == nil ? 30 : 200
    /// Offers that the server grants before it throttles requests again (HTTP 429).
    private static let granted = 4

    @Test func everyDeviceIsUpdatedDespiteARateLimit() async throws {
        let first = try await AgentDevice()
        var version = try await first.publish(2)
        version.rateLimit = 0
        let configuration = first.server([version])
        try await SimulatedServer.run(configuration) { server async throws in
            let devices = try (0..<Self.count).map { number in
                let device = try AgentDevice(like: first)
                // A long time limit for a busy machine: a request that times out would lose its offer.
                try device.configure(
                    server: server.url, device: "device\(number)",
                    changes: "[server]\nrequestTimeout = \"300s\"\n[poll]\ninterval = \"8s\"")
                return device
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                let window = Task {
                    // A real server renews its rate limit by the time of day; this one does after a throttled request.
                    while !Task.isCancelled {
                        let before = await server.throttledRequests
                        await server.change { $0.applications[0].versions[0].rateLimit = Self.granted }
                        while await server.throttledRequests == before { try await Task.sleep(for: .milliseconds(100)) }
                    }
                }
                for device in devices { group.addTask { try await run(device) } }
                try await group.waitForAll()
                window.cancel()
            }
            #expect(devices.allSatisfy { $0.runs == 2 })
            let records = await server.records
            let throttled = await server.throttledRequests
            #expect(throttled > 0, "there was a rate limit")
            // Each granted offer was installed: no device requested one twice, and none was lost.
            let granted = records.filter { $0.path == "/v1/url/upgrade" && $0.code == 200 }.map(\.device)
            #expect(granted.count == Self.count && Set(granted).count == Self.count, "\(granted.count) were granted")
            let reported = await server.reports("app_upgrade_upgrade")
            #expect(reported.count { $0.contains("\"code\":0,") } == Self.count)
            print("fleet of real agents: \(Self.count) updated, \(throttled) requests throttled")
        }
    }

    private func run(_ device: AgentDevice) async throws {
        var variables: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in PrivateBus.none { variables[.init(stringLiteral: name)] = value }
        _ = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelinkd")), arguments: ["--root", device.scratch.path],
            environment: .inherit.updating(variables), input: .none, output: .discarded, error: .discarded
        ) { agent in
            #expect(await eventually(within: 900) { device.runs == 2 })
            // All reports have been delivered by then, too.
            #expect(
                await eventually(within: 300) {
                    let state = try? device.scratch.read("state/state.json")
                    return state?.contains("\"work\"") == false && state?.contains("\"entries\":[]") == true
                })
            try agent.send(signal: .terminate)
        }
    }
}

extension RunningServer {
    fileprivate var throttledRequests: Int {
        get async { await records.count { $0.code == 429_001 } }
    }
}
