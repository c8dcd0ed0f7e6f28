import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The keep-alive messages are those of the main queue: an agent whose main queue does not return sends none, so that the service
/// manager restarts it.
@Suite struct WatchdogTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    private func count(_ agent: AgentProcess) -> Int { agent.messages.count { $0 == "WATCHDOG=1" } }

    /// The disk does not answer while the agent stores its state. Its other threads go on.
    @Test func anAgentWhoseMainQueueIsBlockedSendsNoKeepAliveMessages() async throws {
        try device.configure(
            server: Loopback.unusedPort, changes: "[poll]\nbackOffBase = \"0.1s\"\nbackOffCap = \"1s\"")
        let fifo = "\(device.scratch.path)/hold"
        let environment = [
            "WATCHDOG_USEC": "200000", "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so",
            "FAULT_PROGRAM": "upgradelinkd", "FAULT_DIRECTORY": "\(device.scratch.path)/state/state.json",
            "FAULT_HOLD": fifo, "FAULT_TRACE": "\(device.scratch.path)/held",
        ]
        let run = try await AgentProcess.run(device, environment: environment) { agent async throws in
            #expect(await eventually { count(agent) >= 3 })
            #expect(mkfifo(fifo, 0o600) == 0)
            defer { release(fifo) }
            // Each failed check is stored.
            #expect(await eventually { device.scratch.exists("held") })
            // What was sent before may still be on its way.
            try await Task.sleep(for: .milliseconds(200))
            let before = count(agent)
            try await Task.sleep(for: .milliseconds(600))
            #expect(count(agent) == before, "the messages are not those of the main queue")
            release(fifo)
            #expect(await eventually { count(agent) > before + 2 }, "the agent works again")
        }
        #expect(run.end == .exited(0))
    }

    /// At half the interval, as sd_watchdog_enabled(3) recommends: the service manager kills an agent that is later than 8 s.
    @Test func eachKeepAliveMessageComesInTime() async throws {
        try device.configure(server: Loopback.unusedPort)
        try await AgentProcess.run(device, environment: ["WATCHDOG_USEC": "8000000"]) { agent async throws in
            #expect(await eventually(within: 60) { count(agent) == 2 })
            let times = agent.times { $0 == "READY=1" || $0 == "WATCHDOG=1" }
            #expect(times.count == 3)
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 < 8 }, "\(times)")
        }
    }

    /// Ends the wait of the agent, which opens the FIFO, and lets later calls pass.
    private func release(_ fifo: String) {
        let descriptor = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        unlink(fifo)
        if descriptor >= 0 { close(descriptor) }
    }
}
