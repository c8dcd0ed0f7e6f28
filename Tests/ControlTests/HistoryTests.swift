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
}
