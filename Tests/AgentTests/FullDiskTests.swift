import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// On a full file system nothing is lost, and the status names the reason.
@Suite(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
struct FullDiskTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    @Test func aFullStateDirectoryIsReportedAndTheUpdateResumes() async throws {
        let version = try await device.publish(2)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            try await device.scratch.withSmallFileSystem("state", size: "1m") { state in
                // There is disk space for the lock only.
                try Files.replace("\(state)/lock", with: [])
                _ = try? await execute("sh", ["-c", "cat /dev/zero >\(state)/ballast"])
                try await AgentProcess.run(device) { agent async throws in
                    #expect(
                        await agent.says(
                            "Cannot store the state: cannot write \(state)/state.json.new: No space left on device"),
                        "\(agent.statuses)")
                    #expect(device.runs == 1)
                    unlink("\(state)/ballast")
                    #expect(await agent.says("Up to date (v2, code 2)"))
                }
            }
        }
    }

    /// A full staging directory does not lead to a loop of downloads; the download resumes once there is enough disk space.
    @Test func aFullStagingDirectoryIsReportedAndTheDownloadResumes() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            try await device.scratch.withSmallFileSystem("staging", size: "1m") { staging in
                try await AgentProcess.run(device) { agent async throws in
                    #expect(
                        await agent.says("v2 (code 2) waits: 3.0 MB more are needed in \(staging), 1.0 MB are free"),
                        "\(agent.statuses)")
                    #expect(try Files.list(staging).allSatisfy { $0 != "2.artifact" })
                    try await execute("mount", ["-o", "remount,size=8m", staging])
                    #expect(await agent.says("Up to date (v2, code 2)"), "\(agent.statuses)")
                }
                #expect(await server.records.count { $0.code == 200 } == 1, "the offer was not requested again")
            }
        }
    }

    /// The device has space for the download, and not for the installation: nothing is downloaded.
    @Test func whatCannotBeInstalledIsNotDownloaded() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try await device.scratch.withSmallFileSystem("small", size: "1m") { small in
                chmod(small, 0o755)
                try device.configure(
                    server: server.url,
                    changes: "[install]\nfiles = { link = \"@ROOT@/live\", versions = \"\(small)\" }")
                try await AgentProcess.run(device) { agent async throws in
                    #expect(
                        await agent.says(
                            "v2 (code 2) waits: the installation would need 3.0 MB in \(small), 1.0 MB are free"),
                        "\(agent.statuses)")
                    #expect(try Files.list("\(device.scratch.path)/staging").allSatisfy { $0 != "2.artifact" })
                    try await execute("mount", ["-o", "remount,size=8m", small])
                    #expect(await agent.says("Up to date (v2, code 2)"), "\(agent.statuses)")
                }
            }
        }
    }
}
