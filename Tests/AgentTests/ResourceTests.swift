import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The agent's memory, descriptors and files do not grow over time.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root")) struct ResourceTests {
    /// Polls of a device in thirty days, one every six hours.
    private static let month = 120
    /// Set by `make test-leaks`: for how many seconds the agent polls.
    private static let seconds = getenv("UPGRADELINKD_POLL_SECONDS").flatMap { Double(String(cString: $0)) }

    struct Resources: Equatable, CustomStringConvertible {
        var descriptors: Int
        var files: [String]
        /// Private dirty memory in KiB.
        var memory: Int
        var description: String { "\(descriptors) descriptors, \(files), \(memory) KiB" }

        init(_ agent: AgentProcess, _ device: AgentDevice) throws {
            descriptors = try Files.list("/proc/\(agent.pid)/fd").count
            files = try Files.list("\(device.scratch.path)/state") + Files.list("\(device.scratch.path)/staging")
            let text = String(
                decoding: try Files.read("/proc/\(agent.pid)/smaps_rollup", limit: 65_536), as: UTF8.self)
            memory = text.firstMatch(of: /Private_Dirty: +(\d+)/).flatMap { Int($0.1) } ?? 0
        }
    }

    @Test func aMonthOfPollsLeavesNothingBehind() async throws {
        let device = try await AgentDevice()
        let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([])) { server async throws in
                try device.configure(server: server.url, changes: "[poll]\ninterval = \"1h\"")
                var environment = bus.environment
                // Leaks are looked for in the programs only, not in the test and its server.
                if Self.seconds != nil { environment["ASAN_OPTIONS"] = "detect_leaks=1" }
                let run = try await AgentProcess.run(device, environment: environment) { agent async throws in
                    #expect(await agent.says("Up to date (v1, code 1)"))
                    try await update(device, server, bus, to: 2)
                    try await update(device, server, bus, to: 3)
                    try await poll(server, bus, times: Self.month / 3)
                    let before = try Resources(agent, device)
                    let start = Clock.bootTime
                    var polls = Self.month / 3
                    repeat {
                        polls += Self.month * 2 / 3
                        try await poll(server, bus, times: Self.month * 2 / 3)
                        await server.forgetRecords()
                    } while Clock.bootTime - start < Self.seconds ?? 0
                    try await update(device, server, bus, to: 4)
                    // A worker ends after its last message; the agent releases memory two seconds after the last event.
                    var after = try Resources(agent, device)
                    _ = try await eventually {
                        after = try Resources(agent, device)
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
        #expect(device.runs == 4)
    }

    private func poll(_ server: RunningServer, _ bus: PrivateBus, times: Int) async throws {
        for _ in 0..<times {
            let before = await server.polls
            #expect(try await bus.call("Check").isSuccess)
            #expect(await eventually { await server.polls > before })
            #expect(await eventually { await bus.property("State") == "s \"idle\"" })
        }
    }

    private func update(_ device: AgentDevice, _ server: RunningServer, _ bus: PrivateBus, to code: Int) async throws {
        let version = try await device.publish(code)
        await server.change { $0.applications[0].versions = [version] }
        #expect(try await bus.call("Check").isSuccess)
        #expect(await eventually { await bus.property("InstalledVersion") == "(ts) \(code) \"v\(code)\"" })
        #expect(await eventually { await bus.property("State") == "s \"idle\"" })
    }

    @Test func tenAgentsDoNotDisturbEachOther() async throws {
        try await withThrowingTaskGroup(of: Int?.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    let device = try await AgentDevice()
                    let version = try await device.publish(2)
                    try await SimulatedServer.run(device.server([version])) { server async throws in
                        try device.configure(server: server.url)
                        try await AgentProcess.run(device) { agent async throws in
                            #expect(await agent.says("Up to date (v2, code 2)", within: 60), "\(agent.log)")
                        }
                    }
                    return device.runs
                }
            }
            for try await version in group { #expect(version == 2) }
        }
    }
}
