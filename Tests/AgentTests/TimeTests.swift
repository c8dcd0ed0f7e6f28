import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The agent schedules with CLOCK_BOOTTIME; the wall clock does not matter.
@Suite struct TimeTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    /// An idle agent waits for the next poll with one timer (timerfd_create(2), proc_pid_fdinfo(5)), which the clock watch arms
    /// again after standby. Meanwhile the main queue's two threads do not wake up (proc_pid_status(5)).
    @Test(.enabled(if: getuid() == 0, "without a bus the agent would look for one, and a private bus needs root"))
    func anIdleAgentOnlyWaitsForItsNextPoll() async throws {
        let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([])) { server async throws in
                try device.configure(server: server.url, changes: "[poll]\ninterval = \"1h\"")
                try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.says("Up to date (v1, code 1); next check "))
                    // An hour ± 10 %.
                    #expect(
                        await eventually {
                            let waits = timers(of: agent).filter { $0.clock == CLOCK_MONOTONIC }
                            return waits.count == 1 && waits.allSatisfy { (3200...3960).contains($0.seconds) }
                        }, "\(timers(of: agent))")
                    // The other timer reports that the wall clock was set, and a resume from standby.
                    #expect(timers(of: agent).contains { $0.clock == CLOCK_REALTIME && $0.seconds > 1_000_000_000 })
                    #expect(await eventually { threads(of: agent).count <= 2 }, "\(threads(of: agent))")
                    let before = try switches(of: agent)
                    // The monitor of a global Dispatch queue would wake up once a second.
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

    /// The voluntary context switches of each thread.
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
        let directory = "/proc/\(agent.pid)/fdinfo"
        return ((try? Files.list(directory)) ?? []).compactMap { name in
            guard let bytes = try? Files.read("\(directory)/\(name)", limit: 4096) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let clock = text.firstMatch(of: /clockid: (\d+)/),
                let left = text.firstMatch(of: /it_value: \((\d+),/)
            else { return nil }
            return (CInt(clock.1) ?? -1, Int(left.1) ?? 0)
        }
    }

    /// In standby CLOCK_BOOTTIME advances, and the timer of the next poll does not. The kernel reports the resume, and a poll
    /// that is due starts at once.
    @Test func aPollThatIsDueInStandbyStartsAtTheResume() async throws {
        let clock = try FakeClock(device.scratch, shows: time(nil))
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: "[poll]\ninterval = \"1h\"")
            try await AgentProcess.run(device, environment: try clock.standbyEnvironment()) { agent async throws in
                #expect(await agent.says("Up to date (v1, code 1); next check "))
                let before = await server.acceptedPolls
                try clock.resume(afterStandby: 4000)
                #expect(await eventually { await server.acceptedPolls > before }, "\(agent.statuses)")
            }
        }
    }

    /// The clock is set ten years forward, back, and to 1970 while the agent runs: the polls keep their interval.
    @Test func aChangeOfTheClockDoesNotChangeThePollInterval() async throws {
        let clock = try FakeClock(device.scratch, shows: time(nil))
        let years = 10 * 365 * 86_400
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: "[poll]\ninterval = \"1s\"")
            try await AgentProcess.run(device, environment: clock.environment) { agent async throws in
                for jump in [time(nil), time(nil) + years, time(nil) - years, 100, time(nil) + 2 * years, time(nil)] {
                    try clock.set(jump)
                    let before = await server.acceptedPolls
                    #expect(await eventually { await server.acceptedPolls >= before + 3 }, "\(jump): \(agent.statuses)")
                }
                // The polls are a second ± 10 % apart; single status messages may arrive late.
                let polls = agent.times { $0.hasPrefix("STATUS=Checking") }
                let span = try #require(polls.last) - #require(polls.first)
                #expect(Double(polls.count) <= span / 0.9 + 3, "\(polls.count) in \(span) s")
                // Each wrong clock leads to one refused request.
                let refused = await server.records.count { $0.code == 401_001 }
                #expect((1...12).contains(refused), "\(refused)")
            }
        }
    }
}

extension RunningServer {
    /// Polls that the server did not refuse because of the device's clock.
    fileprivate var acceptedPolls: Int {
        get async { await records.count { $0.path == "/v1/url/upgrade" && $0.code != 401_001 } }
    }
}
