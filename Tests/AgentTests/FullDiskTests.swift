import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// On a file system without room nothing is lost, and the status says what is wrong.
@Suite(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
struct FullDiskTests {
    private let box: AgentBox

    init() async throws { box = try await AgentBox() }

    @Test func aFullStateFolderIsSaidAndOvercome() async throws {
        let version = try await box.publish(2)
        try await SimulatedServer.run(box.server([version])) { server async throws in
            try box.configure(server: server.url)
            try await box.scratch.withSmallFileSystem("state", size: "1m") { state in
                // Room for the lock, and for nothing else.
                try Files.replace("\(state)/lock", with: [])
                _ = try? await execute("sh", ["-c", "cat /dev/zero >\(state)/ballast"])
                try await AgentProcess.run(box) { agent async throws in
                    #expect(
                        await agent.says(
                            "Cannot store the state: cannot write \(state)/state.json.new: No space left on device"),
                        "\(agent.statuses)")
                    #expect(box.runs == 1)
                    unlink("\(state)/ballast")
                    #expect(await agent.says("Up to date (v2, code 2)"))
                }
            }
        }
    }

    /// A staging folder without room is a status, not a loop of downloads; with room it goes on by itself.
    @Test func aFullStagingFolderIsSaidAndOvercome() async throws {
        let version = try await box.publish(2, ballast: 3_000_000)
        try await SimulatedServer.run(box.server([version])) { server async throws in
            try box.configure(server: server.url)
            try await box.scratch.withSmallFileSystem("staging", size: "1m") { staging in
                try await AgentProcess.run(box) { agent async throws in
                    #expect(
                        await agent.says("v2 (code 2) waits: 3.0 MB more are needed in \(staging), 1.0 MB are free"),
                        "\(agent.statuses)")
                    #expect(try Files.list(staging).allSatisfy { $0 != "2.artifact" })
                    try await execute("mount", ["-o", "remount,size=8m", staging])
                    #expect(await agent.says("Up to date (v2, code 2)"), "\(agent.statuses)")
                }
                #expect(await server.records.count { $0.code == 200 } == 1, "the offer was not asked for again")
            }
        }
    }
}
