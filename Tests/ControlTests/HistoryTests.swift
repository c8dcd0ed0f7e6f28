import Glibc
import Host
import Subprocess
import TestSupport
import Testing

@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct HistoryTests {
    private struct Entry: Decodable { var versionCode: Int }

    /// The latest first, in text and in JSON.
    @Test func theOrderIsTheSameEverywhere() async throws {
        let fixture = try await ControlFixture()
        let version = try await fixture.device.publish(2)
        _ = try await fixture.device.publish(3)
        try await fixture.withAgent([version]) { bus, agent, _ async throws in
            #expect(await agent.says("Up to date (v2, code 2)"))
            let file = "\(fixture.device.scratch.path)/files/v3"
            #expect(try await ControlRun.of(["install", file, "--wait"], bus: bus).status == .exited(0))
            func history(_ arguments: String...) async throws -> [Substring] {
                let run = try await ControlRun.of(["history"] + arguments, bus: bus)
                #expect(run.status == .exited(0), "\(run)")
                return run.output.split(separator: "\n")
            }
            func codes(_ arguments: String...) async throws -> [Int] {
                let run = try await ControlRun.of(["history", "--json=short"] + arguments, bus: bus)
                #expect(run.output.split(separator: "\n").count == 1)
                return try JSONLine.decode([Entry].self, from: Array(run.output.utf8)).map(\.versionCode)
            }
            let all = try await history()
            #expect(all.count == 2 && all[0].contains("(code 3)") && all[1].contains("(code 2)"), "\(all)")
            #expect(try await codes() == [3, 2])
            #expect(try await codes("-n", "1") == [3])
            #expect(try await history("-n1") == [all[0]])
            #expect(try await history("--lines=5") == all)
            #expect(try await history("-n", "0").isEmpty)
        }
    }

    /// What was replaced, dropped or installed needs no other attempt.
    @Test(arguments: [(["failed", "dropped", "replaced", "installed"], 2), (["rejected", "rolledBack"], 3)])
    func aRetryIsOfTheLatestVersionThatWasNotInstalled(results: [String], code: Int) async throws {
        let fixture = try await ControlFixture()
        let time = "{\"unixSeconds\":1700000000}"
        let history = results.enumerated().map { index, result in
            "{\"versionCode\":\(index + 2),\"versionName\":\"v\",\"upgradeType\":\"silent\",\"started\":\(time),\"ended\":\(time),"
                + "\"bytes\":0,\"result\":\"\(result)\",\"reason\":\"\"}"
        }
        try fixture.device.scratch.write(
            "state/state.json", "{\"format\":2,\"bootID\":\"\",\"history\":[\(history.joined(separator: ","))]}")
        try await fixture.withAgent(changes: "[poll]\nsplay = \"1h\"") { bus, _, _ async throws in
            let run = try await ControlRun.of(["retry", "--root", fixture.device.scratch.path], bus: bus)
            #expect(run.error == "version \(code) has neither failed nor been rejected\n", "\(run)")
            #expect(run.output == "The installer's count of version \(code) is reset\n")
            #expect(run.status == .exited(1))
        }
    }
}
