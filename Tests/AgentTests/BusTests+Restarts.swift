import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// The bus comes and goes.
extension BusTests {
    /// A user interface that starts with the bus shows what was installed before, and shows it once.
    @Test func whatHappensWithoutABusIsAnnouncedOnce() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url)
            let environment = ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(device.scratch.path)/bus"]
            try await AgentProcess.run(device, environment: environment) { agent async throws in
                for (limit, code, announced) in [(1000, 2, [2]), (2000, 3, [3]), (3000, 3, [])] {
                    let version = try await device.publish(code)
                    await server.change { $0.applications[0].versions = [version] }
                    #expect(await agent.says("Up to date (v\(code), code \(code))"))
                    // It connects when the monitor listens already.
                    kill(agent.pid, SIGSTOP)
                    let lines = try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus in
                        try await allSignals(on: bus, until: "\"SpeedLimit\":{\"type\":\"t\",\"data\":\(limit)}") {
                            kill(agent.pid, SIGCONT)
                            let isSet = await eventually(within: 60) {
                                (try? await bus.call("SetSpeedLimit", "t", "\(limit)").isSuccess) == true
                            }
                            #expect(isSet, "\(agent.log)")
                        }
                    }
                    let found = lines.compactMap { line in
                        line.firstMatch(of: /"member":"Finished".*"data":\[(\d+),/).flatMap { Int($0.1) }
                    }
                    #expect(found == announced, "\(lines)")
                }
            }
        }
    }

    /// The agent's signals in JSON, from the first one on: gdbus shows none before it knows the owner of the name.
    ///
    /// - Parameters:
    ///   - last: a part of the last line.
    ///   - isReady: called when the bus sends every signal.
    private func allSignals(
        on bus: PrivateBus, until last: String, isReady: @Sendable () async throws -> Void
    ) async throws -> [String] {
        let command =
            #"exec busctl --address="$1" monitor --json=short --match="type='signal',path='/org/upgradelink/Agent1'" 2>&1"#
        return try await Subprocess.run(
            .path("/bin/sh"), arguments: ["-c", command, "sh", bus.address], input: .none, output: .sequence,
            error: .discarded
        ) { monitor async throws in
            var lines: [String] = []
            for try await line in monitor.standardOutput.strings() {
                lines.append(line)
                if line.hasPrefix("Monitoring") { try await isReady() }
                if line.contains(last) { try monitor.send(signal: .terminate) }
            }
            return lines
        }.closureResult
    }
}
