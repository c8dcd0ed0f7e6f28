import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What the agent holds does not grow, however long it runs.
@Suite(.enabled(if: getuid() == 0, "a system bus of one's own needs root")) struct ResourceTests {
    /// Polls of a box in thirty days, one every six hours.
    private static let month = 120
    /// Set by `make test-leaks`: how long it polls instead.
    private static let seconds = getenv("UPGRADELINKD_POLL_SECONDS").flatMap { Double(String(cString: $0)) }

    struct Holdings: Equatable, CustomStringConvertible {
        var descriptors: Int
        var files: [String]
        /// Private dirty memory in KiB.
        var memory: Int
        var description: String { "\(descriptors) descriptors, \(files), \(memory) KiB" }

        init(_ agent: AgentProcess, _ box: AgentBox) throws {
            descriptors = try Files.list("/proc/\(agent.pid)/fd").count
            files = try Files.list("\(box.scratch.path)/state") + Files.list("\(box.scratch.path)/staging")
            let text = String(
                decoding: try Files.read("/proc/\(agent.pid)/smaps_rollup", limit: 65_536), as: UTF8.self)
            memory = text.firstMatch(of: /Private_Dirty: +(\d+)/).flatMap { Int($0.1) } ?? 0
        }
    }

    @Test func aMonthOfPollsLeavesNothingBehind() async throws {
        let box = try await AgentBox()
        let policy = "\(repositoryFolder)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(folder: box.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(box.server([])) { server async throws in
                try box.configure(server: server.url, changes: "[poll]\ninterval = \"1h\"")
                var environment = bus.environment
                // Of the programs alone: the test and its server are not what is looked at.
                if Self.seconds != nil { environment["ASAN_OPTIONS"] = "detect_leaks=1" }
                let run = try await AgentProcess.run(box, environment: environment) { agent async throws in
                    #expect(await agent.says("Up to date (v1, code 1)"))
                    try await update(box, server, bus, to: 2)
                    try await update(box, server, bus, to: 3)
                    try await poll(server, bus, times: Self.month / 3)
                    let before = try Holdings(agent, box)
                    let start = Clock.bootTime
                    var polls = Self.month / 3
                    repeat {
                        polls += Self.month * 2 / 3
                        try await poll(server, bus, times: Self.month * 2 / 3)
                        await server.forgetRecords()
                    } while Clock.bootTime - start < Self.seconds ?? 0
                    try await update(box, server, bus, to: 4)
                    // A worker is gone a moment after its last word, and free memory two seconds after the last event.
                    var after = try Holdings(agent, box)
                    _ = try await eventually {
                        after = try Holdings(agent, box)
                        return after.descriptors == before.descriptors
                            && (hasSanitizer || after.memory - before.memory < 400)
                    }
                    #expect(after.descriptors == before.descriptors, "\(before); \(after)")
                    #expect(after.files == before.files)
                    if !hasSanitizer { #expect(after.memory - before.memory < 400, "\(before); \(after)") }
                    print("resources: after \(Self.month / 3) polls \(before), after \(polls) \(after)")
                }
                #expect(run.end == .exited(0), "\(run.log.suffix(400))")
            }
        }
        #expect(box.runs == 4)
    }

    private func poll(_ server: RunningServer, _ bus: PrivateBus, times: Int) async throws {
        for _ in 0..<times {
            let before = await server.polls
            #expect(try await bus.call("Check").isSuccess)
            #expect(await eventually { await server.polls > before })
            #expect(await eventually { await bus.property("State") == "s \"idle\"" })
        }
    }

    private func update(_ box: AgentBox, _ server: RunningServer, _ bus: PrivateBus, to code: Int) async throws {
        let version = try await box.publish(code)
        await server.change { $0.applications[0].versions = [version] }
        #expect(try await bus.call("Check").isSuccess)
        #expect(await eventually { await bus.property("InstalledVersion") == "(ts) \(code) \"v\(code)\"" })
        #expect(await eventually { await bus.property("State") == "s \"idle\"" })
    }

    @Test func tenAgentsDoNotKnowOfEachOther() async throws {
        try await withThrowingTaskGroup(of: Int?.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    let box = try await AgentBox()
                    let version = try await box.publish(2)
                    try await SimulatedServer.run(box.server([version])) { server async throws in
                        try box.configure(server: server.url)
                        try await AgentProcess.run(box) { agent async throws in
                            #expect(await agent.says("Up to date (v2, code 2)", within: 60), "\(agent.log)")
                        }
                    }
                    return box.runs
                }
            }
            for try await version in group { #expect(version == 2) }
        }
    }
}
