import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// Many real agents and a server that grants only so many offers at a time: all of them are updated, nobody gives up.
@Suite struct FleetTests {
    /// `make soak` has two hundred.
    private static let count = getenv("UPGRADELINKD_SOAK") == nil ? 30 : 200
    /// Offers that the server grants between two looks; the others get HTTP 429.
    private static let granted = 4

    @Test func everyBoxIsUpdatedThroughARateLimit() async throws {
        let first = try await AgentBox()
        var version = try await first.publish(2)
        version.rateLimit = 0
        let configuration = first.server([version])
        try await SimulatedServer.run(configuration) { server async throws in
            let boxes = try (0..<Self.count).map { number in
                let box = try AgentBox(like: first)
                // With time for a machine that is busy: it is a lost reply, not a slow one, that costs an offer.
                try box.configure(
                    server: server.url, device: "box\(number)",
                    changes: "[server]\nrequestTimeout = \"300s\"\n[poll]\ninterval = \"8s\"")
                return box
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                let window = Task {
                    // A rate limit by time of day; this one's next time comes once somebody was refused.
                    while !Task.isCancelled {
                        let before = await server.refusals
                        await server.change { $0.applications[0].versions[0].rateLimit = Self.granted }
                        while await server.refusals == before { try await Task.sleep(for: .milliseconds(100)) }
                    }
                }
                for box in boxes { group.addTask { try await run(box) } }
                try await group.waitForAll()
                window.cancel()
            }
            #expect(boxes.allSatisfy { $0.runs == 2 })
            let records = await server.records
            let refused = await server.refusals
            #expect(refused > 0, "there was a rate limit")
            // Each offer that was granted was installed: nobody asked for it twice, and nobody lost one.
            let granted = records.filter { $0.path == "/v1/url/upgrade" && $0.code == 200 }.map(\.device)
            #expect(granted.count == Self.count && Set(granted).count == Self.count, "\(granted.count) were granted")
            let told = await server.reports("app_upgrade_upgrade")
            #expect(told.count { $0.contains("\"code\":0,") } == Self.count)
            print("fleet of real agents: \(Self.count) updated, \(refused) times told to wait")
        }
    }

    private func run(_ box: AgentBox) async throws {
        var variables: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in PrivateBus.none { variables[.init(stringLiteral: name)] = value }
        _ = try await Subprocess.run(
            .path(FilePath("\(programsFolder)/upgradelinkd")), arguments: ["--root", box.scratch.path],
            environment: .inherit.updating(variables), input: .none, output: .discarded, error: .discarded
        ) { agent in
            #expect(await eventually(within: 900) { box.runs == 2 })
            // What is told to the server is told by then, too.
            #expect(
                await eventually(within: 300) {
                    let state = try? box.scratch.read("state/state.json")
                    return state?.contains("\"work\"") == false && state?.contains("\"entries\":[]") == true
                })
            try agent.send(signal: .terminate)
        }
    }
}

extension RunningServer {
    fileprivate var refusals: Int {
        get async { await records.count { $0.code == 429_001 } }
    }
}
