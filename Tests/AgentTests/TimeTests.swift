import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The agent's time is the kernel's CLOCK_BOOTTIME, whatever the wall clock shows.
@Suite struct TimeTests {
    private let box: AgentBox

    init() async throws { box = try await AgentBox() }

    /// At rest it waits for the next poll on one timer (timerfd_create(2), proc_pid_fdinfo(5)), which the clock watch next to it
    /// has armed again after standby, and does nothing at all meanwhile, on the main queue's two threads (proc_pid_status(5)).
    @Test(.enabled(if: getuid() == 0, "without a bus it would look for one, and a bus of one's own needs root"))
    func anIdleAgentWaitsForItsPollAndNothingElse() async throws {
        let policy = "\(repositoryFolder)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(folder: box.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(box.server([])) { server async throws in
                try box.configure(server: server.url, changes: "[poll]\ninterval = \"1h\"")
                try await AgentProcess.run(box, environment: bus.environment) { agent async throws in
                    #expect(await agent.says("Up to date (v1, code 1); next check "))
                    // An hour, give or take a tenth.
                    #expect(
                        await eventually {
                            let waits = timers(of: agent).filter { $0.clock == CLOCK_MONOTONIC }
                            return waits.count == 1 && waits.allSatisfy { (3200...3960).contains($0.seconds) }
                        }, "\(timers(of: agent))")
                    // The other watches the wall clock, and the resume from standby.
                    #expect(timers(of: agent).contains { $0.clock == CLOCK_REALTIME && $0.seconds > 1_000_000_000 })
                    #expect(await eventually { threads(of: agent).count <= 2 }, "\(threads(of: agent))")
                    let before = try switches(of: agent)
                    // A global queue of Dispatch would have its monitor look after it once a second.
                    try await Task.sleep(for: .seconds(3))
                    #expect(try switches(of: agent) == before)
                    #expect(threads(of: agent).count <= 2)
                }
            }
        }
    }

    private func threads(of agent: AgentProcess) -> [String] {
        (try? Files.list("/proc/\(agent.pid)/task")) ?? []
    }

    /// How often its threads have waited for something.
    private func switches(of agent: AgentProcess) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for thread in threads(of: agent) {
            let path = "/proc/\(agent.pid)/task/\(thread)/status"
            let text = String(decoding: try Files.read(path, limit: 65_536), as: UTF8.self)
            counts[thread] = text.firstMatch(of: /\nvoluntary_ctxt_switches:\s+(\d+)/).flatMap { Int($0.1) }
        }
        return counts
    }

    private func timers(of agent: AgentProcess) -> [(clock: CInt, seconds: Int)] {
        let folder = "/proc/\(agent.pid)/fdinfo"
        return ((try? Files.list(folder)) ?? []).compactMap { name in
            guard let bytes = try? Files.read("\(folder)/\(name)", limit: 4096) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let clock = text.firstMatch(of: /clockid: (\d+)/),
                let left = text.firstMatch(of: /it_value: \((\d+),/)
            else { return nil }
            return (CInt(clock.1) ?? -1, Int(left.1) ?? 0)
        }
    }

    /// In standby CLOCK_BOOTTIME goes on, and the timer of the next poll does not. The kernel reports the resume, and what is
    /// due by then is done at once.
    @Test func aPollThatFellDueInStandbyComesWithTheResume() async throws {
        let clock = try FakeClock(box.scratch, shows: time(nil))
        try await SimulatedServer.run(box.server([])) { server async throws in
            try box.configure(server: server.url, changes: "[poll]\ninterval = \"1h\"")
            try await AgentProcess.run(box, environment: try clock.standbyEnvironment()) { agent async throws in
                #expect(await agent.says("Up to date (v1, code 1); next check "))
                let before = await server.answered
                try clock.resume(afterStandby: 4000)
                #expect(await eventually { await server.answered > before }, "\(agent.statuses)")
            }
        }
    }

    /// Ten years forth, and back, and to 1970, while it runs: each poll comes when it would have come.
    @Test func aClockThatJumpsNeitherStopsThePollsNorHurriesThem() async throws {
        let clock = try FakeClock(box.scratch, shows: time(nil))
        let years = 10 * 365 * 86_400
        try await SimulatedServer.run(box.server([])) { server async throws in
            try box.configure(server: server.url, changes: "[poll]\ninterval = \"1s\"")
            try await AgentProcess.run(box, environment: clock.environment) { agent async throws in
                for jump in [time(nil), time(nil) + years, time(nil) - years, 100, time(nil) + 2 * years, time(nil)] {
                    try clock.set(jump)
                    let before = await server.answered
                    #expect(await eventually { await server.answered >= before + 3 }, "\(jump): \(agent.statuses)")
                }
                // A second apart, give or take a tenth; what is heard of it may come late, but not all of it.
                let questions = agent.times { $0.hasPrefix("STATUS=Asking") }
                let span = try #require(questions.last) - #require(questions.first)
                #expect(Double(questions.count) <= span / 0.9 + 3, "\(questions.count) in \(span) s")
                // Each wrong clock is learnt from once.
                let refused = await server.records.count { $0.code == 401_001 }
                #expect((1...12).contains(refused), "\(refused)")
            }
        }
    }
}

extension RunningServer {
    /// Polls that were not refused for the box's clock.
    fileprivate var answered: Int {
        get async { await records.count { $0.path == "/v1/url/upgrade" && $0.code != 401_001 } }
    }
}
