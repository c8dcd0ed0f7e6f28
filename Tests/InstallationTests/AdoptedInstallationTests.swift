import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// Installations whose artifact the installer takes over instead of copying it.
@Suite(.enabled(if: (try? Directory("/tmp"))?.handle.hasReliableLeases == true, "/tmp keeps no reliable leases"))
struct AdoptedInstallationTests {
    private typealias Row = ProtocolTests.Row

    private func recorder(_ row: Row) async throws -> InstallerDevice { try await RecorderDevice(row).device }

    private func plain(reboot: String = "No", fails: String? = nil, killed: String? = nil) -> Row {
        Row(name: "", reboot: reboot, fails: fails, killed: killed, chain: "", result: .committed)
    }

    private func staged(_ device: InstallerDevice) -> FileStatus? {
        FileStatus("\(device.scratch.path)/staging/2.artifact")
    }

    @Test func theStagedFileItselfIsInstalled() async throws {
        let device = try await recorder(plain())
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        let inode = try #require(staged(device)).identity.inode
        let run = await device.run(.install(job))
        #expect(run.result == .committed, "\(run)")
        // The module gets the file; only root can read it, and it has no other name.
        #expect(try device.scratch.read("control/payload") == "\(inode) \(geteuid()) 600 1\n")
        #expect(staged(device) == nil)
        #expect(!run.output.contains { $0.contains("copied") || $0.contains("artifact is") }, "\(run.output)")
    }

    /// Another file system cannot have a link: the artifact is copied, and the log says why.
    @Test(.enabled(if: getuid() == 0, "mounting needs root"))
    func anotherFileSystemMeansACopy() async throws {
        let device = try await recorder(plain())
        try await device.scratch.withSmallFileSystem("staging", size: "1m") { _ in
            let job = try await device.stagedJob(1, version: 2, content: "new\n")
            let run = await device.run(.install(job))
            #expect(run.result == .committed)
            #expect(
                run.output.contains(
                    "the artifact is copied: its file system is not known to keep the rules that adoption needs"),
                "\(run.output)")
            #expect(staged(device)?.linkCount == 1)
        }
    }

    @Test func aForgedFileIsRemoved() async throws {
        let device = try await recorder(plain())
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        try Files.replace(job.artifact.path, with: Array("forged\n".utf8))
        let run = await device.run(.install(job))
        #expect(run.result == .refused("its content is not what was signed", code: .signatureInvalid))
        #expect(run.output == ["the artifact is removed, because it is not what was signed"])
        #expect(staged(device) == nil && !device.scratch.exists("control/log"))
        #expect(!device.scratch.exists("state/installer/tree"))
    }

    /// A failed installation needs no second download: the agent has the file again, can read it, and cannot change it.
    @Test(arguments: ["Download", "ArtifactInstall", "ArtifactCommit"], [false, true])
    func aFailedInstallationGivesTheFileBack(state: String, isKilled: Bool) async throws {
        let device = try await recorder(plain(fails: isKilled ? nil : state, killed: isKilled ? state : nil))
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        let before = try #require(staged(device)).identity
        let result = try await device.runToTheEnd(job)
        guard case .rolledBack? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(staged(device)?.identity == before)
        #expect(staged(device)?.mode == 0o440 && staged(device)?.linkCount == 1)
        unlink("\(device.scratch.path)/control/fail-\(state)")
        var again = job
        again.id = 2
        #expect(await device.run(.install(again)).result == .committed)
        #expect(try device.scratch.read("control/payload").hasPrefix("\(before.inode) "))
        #expect(staged(device) == nil)
    }

    /// The agent cannot open the file any more: its request is about what the installer has.
    @Test func aRepeatedRequestNeedsNoFile() async throws {
        let device = try await recorder(plain(reboot: "Automatic"))
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        for _ in 1...2 {
            #expect(await device.run(.install(job)).result == .needsReboot(isRollback: false))
            #expect(staged(device) == nil)
        }
        // An agent that has lost its state chooses another id.
        var other = job
        other.id = 3
        #expect(await device.run(.install(other)).result == .needsReboot(isRollback: false))
        #expect(await device.run(.cancel(1)).result == .interrupted("it was cancelled", code: .cancelled))
        #expect(staged(device)?.mode == 0o440)
        #expect(await device.run(.install(other)).result == .needsReboot(isRollback: false))
        #expect(await device.run(.resume(3), boot: 2).result == .committed)
    }

    /// The installer stopped between two states, and lost the lease: the artifact is verified again.
    @Test(arguments: [false, true]) func whatWasNotHeldIsVerifiedAgain(isChanged: Bool) async throws {
        let device = try await recorder(plain())
        try device.scratch.write("modules/recorder.uninterruptible", "")
        try device.scratch.write("control/wait-Download", "")
        let job = try await device.stagedJob(1, version: 2, content: "new\n")
        async let first = device.run(.install(job))
        #expect(await eventually { device.scratch.exists("control/log") })
        kill(try #require(pid_t(try device.scratch.read("control/installer").filter(\.isNumber))), SIGTERM)
        unlink("\(device.scratch.path)/control/wait-Download")
        guard case .lost = await first.result else {
            Issue.record("it has not stopped")
            return
        }
        #expect(try device.scratch.read("control/log") == "Download\n")
        let payload = "\(device.scratch.path)/state/installer/tree/files/payload"
        if isChanged { _ = try? OpenFile(payload, O_WRONLY).write(Array("bad".utf8)) }
        let result = await device.run(.resume(1)).result
        if isChanged {
            guard case .rolledBack("its content is not what was signed", _) = result else {
                Issue.record("\(result)")
                return
            }
            #expect(try !device.scratch.read("control/log").contains("ArtifactInstall\n"))
        } else {
            #expect(result == .committed)
        }
    }
}
