import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The disk fails once, at any call of one of the three programs: no program crashes, the agent reports the error, and the update
/// completes afterwards.
@Suite struct StorageFaultTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        var program: String
        var call: Int
        var code: CInt
        var testDescription: String { "call \(call) of \(program): \(String(cString: strerror(code)))" }
    }

    static let faults: [Fault] = [("upgradelinkd", 24), ("upgradelink-fetch", 12), ("upgradelink-installer", 24)]
        .flatMap { program, calls in
            (1...calls).map { Fault(program: program, call: $0, code: [EIO, ENOSPC, EROFS][$0 % 3]) }
        }

    @Test(arguments: faults) func aSingleDiskErrorLosesNothing(fault: Fault) async throws {
        let device = try await AgentDevice()
        var version = try await device.publish(2)
        // The server grants the offer once: a lost offer never comes again.
        version.staged = 1
        let environment = [
            "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "FAULT_PROGRAM": fault.program,
            "FAULT_DIRECTORY": "\(device.scratch.path)/st", "FAULT_AT": "\(fault.call)", "FAULT_ERRNO": "\(fault.code)",
            "FAULT_TRACE": "\(device.scratch.path)/hit",
        ]
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let (_, end, log) = try await AgentProcess.run(device, environment: environment) { agent async throws in
                _ = await eventually(within: 20) { agent.hasEnded || device.scratch.exists("hit") }
                _ = await eventually(within: 3) {
                    agent.hasEnded || agent.statuses.contains { $0.contains("Up to date (v2") }
                }
            }
            // 73 and 78: the agent reports why it cannot start.
            #expect([.exited(0), .exited(73), .exited(78)].contains(end), "\(log)")
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.updates(to: 2, server), "\(log) \(agent.log)")
            }
        }
        #expect(device.runs == 2)
        #expect(device.scratch.exists("hit"), "there is such a call")
    }

    /// Checks the preloaded library: its fault reaches the agent.
    @Test func anInjectedFaultIsReported() async throws {
        let device = try await AgentDevice()
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url)
            let environment = [
                "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "FAULT_PROGRAM": "upgradelinkd",
                "FAULT_DIRECTORY": "\(device.scratch.path)/state/state.json", "FAULT_AT": "4", "FAULT_ERRNO": "\(EIO)",
            ]
            try await AgentProcess.run(device, environment: environment) { agent async throws in
                #expect(await agent.says("Cannot store the state: cannot "))
                #expect(await agent.says("Up to date (v1, code 1)"), "the agent tries again")
            }
        }
    }
}
