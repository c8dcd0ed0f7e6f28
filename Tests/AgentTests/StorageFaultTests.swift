import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// A disk that fails once, at any call of any of the three programs: nobody crashes, the agent says what it is, and what comes
/// afterwards is as if it had not been.
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

    @Test(arguments: faults) func aDiskThatFailsOnceLosesNothing(fault: Fault) async throws {
        let box = try await AgentBox()
        var version = try await box.publish(2)
        // Granted once: whoever loses that offer never gets it.
        version.staged = 1
        let environment = [
            "LD_PRELOAD": "\(programsFolder)/libfaultydisk.so", "FAULT_PROGRAM": fault.program,
            "FAULT_FOLDER": "\(box.scratch.path)/st", "FAULT_AT": "\(fault.call)", "FAULT_ERRNO": "\(fault.code)",
            "FAULT_TRACE": "\(box.scratch.path)/hit",
        ]
        try await SimulatedServer.run(box.server([version])) { server async throws in
            try box.configure(server: server.url)
            let (_, end, log) = try await AgentProcess.run(box, environment: environment) { agent async throws in
                _ = await eventually(within: 20) { agent.hasEnded || box.scratch.exists("hit") }
                _ = await eventually(within: 3) {
                    agent.hasEnded || agent.statuses.contains { $0.contains("Up to date (v2") }
                }
            }
            // 73 and 78: what it cannot start with is said.
            #expect([.exited(0), .exited(73), .exited(78)].contains(end), "\(log)")
            try await AgentProcess.run(box) { agent async throws in
                #expect(await agent.updates(to: 2, server), "\(log) \(agent.log)")
            }
        }
        #expect(box.runs == 2)
        #expect(box.scratch.exists("hit"), "there is such a call")
    }

    /// The check itself: a fault is one.
    @Test func aFaultIsSaid() async throws {
        let box = try await AgentBox()
        try await SimulatedServer.run(box.server([])) { server async throws in
            try box.configure(server: server.url)
            let environment = [
                "LD_PRELOAD": "\(programsFolder)/libfaultydisk.so", "FAULT_PROGRAM": "upgradelinkd",
                "FAULT_FOLDER": "\(box.scratch.path)/state/state.json", "FAULT_AT": "4", "FAULT_ERRNO": "\(EIO)",
            ]
            try await AgentProcess.run(box, environment: environment) { agent async throws in
                #expect(await agent.says("Cannot store the state: cannot "))
                #expect(await agent.says("Up to date (v1, code 1)"), "it tries again")
            }
        }
    }
}
