import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// Each reason has a code for programs.
extension BusTests {
    @Test func reasonsHaveCodes() async throws {
        let healthy = try await device.publish(2)
        try await withAgent(
            [healthy], faults: [Fault(path: "/files/v2", status: 404)],
            // The agent must not try again by itself: version 2 must wait when Retry is called.
            changes: "[poll]\nbackOffBase = \"1h\"\nbackOffCap = \"2h\"\n"
                + "[install]\nattempts = 1\nhealthProgram = [\"/bin/false\"]\nhealthTimeout = \"1s\""
        ) { bus, agent, server async throws in
            #expect(await eventually { await bus.property("LastErrorCode") == "s \"file-missing\"" })
            await server.change { $0.faults = [] }
            #expect(try await bus.call("Retry", "t", "2").isSuccess)
            #expect(await eventually { await bus.property("LastErrorCode") == "s \"health-check-failed\"" })
            let refused = await bus.property("RefusedVersions") ?? ""
            #expect(
                refused.hasPrefix(#"aa{sv} 1 6 "versionCode" t 2 "versionName" s "v2" "why" s "blocked" "#),
                "\(refused)")
            #expect(refused.hasSuffix(#" "reasonCode" s "health-check-failed""#), "\(refused)")
            let history = try await bus.call("History").output
            #expect(history.contains(#""reasonCode" s "health-check-failed""#), "\(history)")
            await server.change { $0.faults = [Fault(path: "/v1/url", status: 503)] }
            #expect(try await bus.call("Check").isSuccess)
            #expect(await eventually { await bus.property("LastErrorCode") == "s \"server-error\"" })
        }
    }

    /// An error of the agent itself is in no stored state.
    @Test func aFailedReloadIsAnnouncedWithItsCode() async throws {
        try await withAgent(changes: "[poll]\ninterval = \"5h\"") { bus, agent, server async throws in
            #expect(await agent.says("Up to date"))
            let output = try await signals(on: bus) { line async throws in
                if line.contains("is owned by") {
                    try device.configure(server: server.url, changes: "[poll]\ninterval = false")
                    kill(agent.pid, SIGHUP)
                }
                if line.contains("'State': <'error'>") {
                    try device.configure(server: server.url, changes: "[poll]\ninterval = \"5h\"")
                    kill(agent.pid, SIGHUP)
                }
                return line.contains("'LastErrorCode': <''>")
            }
            let change = output.first { $0.contains("'State': <'error'>") } ?? ""
            #expect(change.contains("'LastErrorCode': <'configuration-invalid'>"), "\(output)")
            #expect(change.contains("'LastError': <'The configuration was not reloaded: /"), "\(output)")
            #expect(await bus.property("State") != "s \"error\"")
            #expect(await bus.property("LastError") == "s \"\"")
        }
    }

    @Test func aStateThatCannotBeStoredHasACode() async throws {
        try await device.scratch.withSmallFileSystem("state", size: "1m") { state in
            try Files.replace("\(state)/lock", with: [])
            _ = try? await execute("sh", ["-c", "cat /dev/zero >\(state)/ballast"])
            try await withAgent { bus, agent, _ async throws in
                #expect(await eventually { await bus.property("LastErrorCode") == "s \"state-not-stored\"" })
                #expect(await bus.property("LastError")?.hasPrefix("s \"Cannot store the state: ") == true)
                #expect(await bus.property("State") == "s \"error\"")
                unlink("\(state)/ballast")
                #expect(await eventually { await bus.property("LastErrorCode") == "s \"\"" })
            }
        }
    }
}
