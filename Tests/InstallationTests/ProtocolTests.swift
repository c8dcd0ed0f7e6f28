import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import InstallerProgram

/// The sequence of a module's states, which the module records: each row is one of Mender's state machine tests, with the
/// sequence that the protocol prescribes.
@Suite struct ProtocolTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var reboot = "Yes"
        var rollback = "Yes"
        /// The state the module fails in, each time.
        var fails: String?
        /// The state in which the installer is killed, once.
        var killed: String?
        /// What the device reports after ArtifactInstall.
        var version = 2
        var chain: String
        var result: Result

        enum Result { case committed, rolledBack, failed }

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(
            name: "normal, no reboot, no rollback", reboot: "No", rollback: "No",
            chain: "Download Install Commit Cleanup", result: .committed),
        Row(
            name: "normal, no rollback", rollback: "No", chain: "Download Install Reboot VerifyReboot Commit Cleanup",
            result: .committed),
        Row(name: "normal", chain: "Download Install Reboot VerifyReboot Commit Cleanup", result: .committed),
        Row(
            name: "empty output means no", reboot: "", rollback: "", fails: "ArtifactCommit",
            chain: "Download Install Commit Failure Cleanup", result: .failed),
        Row(name: "error in Download", fails: "Download", chain: "Download Cleanup", result: .rolledBack),
        Row(name: "killed in Download", killed: "Download", chain: "Download Cleanup", result: .rolledBack),
        Row(
            name: "error in Install, no rollback", rollback: "No", fails: "ArtifactInstall",
            chain: "Download Install Failure Cleanup", result: .failed),
        Row(
            name: "killed in Install, no rollback", rollback: "No", killed: "ArtifactInstall",
            chain: "Download Install Failure Cleanup", result: .failed),
        Row(
            name: "error in Install", fails: "ArtifactInstall",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup", result: .rolledBack),
        Row(
            name: "killed in Install", killed: "ArtifactInstall",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup", result: .rolledBack),
        Row(
            name: "error in Install, no reboot", reboot: "No", fails: "ArtifactInstall",
            chain: "Download Install Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "error in Reboot", fails: "ArtifactReboot",
            chain: "Download Install Reboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in Reboot", killed: "ArtifactReboot",
            chain: "Download Install Reboot VerifyReboot Commit Cleanup", result: .committed),
        Row(
            name: "error in VerifyReboot", fails: "ArtifactVerifyReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in VerifyReboot", killed: "ArtifactVerifyReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Commit", fails: "ArtifactCommit",
            chain:
                "Download Install Reboot VerifyReboot Commit Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in Commit", killed: "ArtifactCommit",
            chain:
                "Download Install Reboot VerifyReboot Commit Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Commit, no reboot", reboot: "No", fails: "ArtifactCommit",
            chain: "Download Install Commit Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "killed in Commit, no reboot", reboot: "No", killed: "ArtifactCommit",
            chain: "Download Install Commit Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "error in Rollback", fails: "ArtifactVerifyReboot ArtifactRollback",
            chain: "Download Install Reboot VerifyReboot Rollback Failure Cleanup", result: .failed),
        Row(
            name: "killed in Rollback", fails: "ArtifactVerifyReboot", killed: "ArtifactRollback",
            chain:
                "Download Install Reboot VerifyReboot Rollback Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in RollbackReboot", fails: "ArtifactVerifyReboot ArtifactRollbackReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in RollbackReboot", fails: "ArtifactVerifyReboot", killed: "ArtifactRollbackReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in VerifyRollbackReboot", fails: "ArtifactVerifyReboot ArtifactVerifyRollbackReboot",
            chain:
                "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot RollbackReboot VerifyRollbackReboot RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .failed),
        Row(
            name: "killed in VerifyRollbackReboot", fails: "ArtifactVerifyReboot",
            killed: "ArtifactVerifyRollbackReboot",
            chain:
                "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Failure", fails: "ArtifactInstall ArtifactFailure",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup", result: .rolledBack),
        Row(
            name: "killed in Failure", fails: "ArtifactInstall", killed: "ArtifactFailure",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Cleanup", reboot: "No", fails: "Cleanup", chain: "Download Install Commit Cleanup",
            result: .committed),
        Row(
            name: "killed in Cleanup", reboot: "No", killed: "Cleanup",
            chain: "Download Install Commit Cleanup Cleanup", result: .committed),
        Row(
            name: "the device reports another version", reboot: "No", version: 1,
            chain: "Download Install Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "invalid output of NeedsArtifactReboot", reboot: "Maybe",
            chain: "Download Install Rollback Failure Cleanup", result: .rolledBack),
    ]

    @Test(arguments: rows)
    func statesFollowTheProtocol(row: Row) async throws {
        let device = try await RecorderDevice(row)
        let job = try await device.device.job(1, version: 2, artifact: "artifact-file")
        let result = try await device.device.runToTheEnd(job)
        let chain = try device.device.scratch.read("control/log").split(separator: "\n")
            .map { $0.replacing("Artifact", with: "") }.joined(separator: " ")
        #expect(chain == row.chain)
        switch result {
        case .committed?: #expect(row.result == .committed)
        case .rolledBack?: #expect(row.result == .rolledBack)
        case .failed?: #expect(row.result == .failed)
        default: Issue.record("\(String(describing: result))")
        }
        #expect(!device.device.scratch.exists("state/installer/tree"), "the file tree is cleaned up")
        // For a second request the installer reports the same result and does nothing.
        let again = await device.device.run(.install(job))
        #expect(again.result == result)
        #expect(again.states.isEmpty)
        #expect(await device.device.run(.resume(1)).result == result)
        #expect(await device.device.run(.resume(2)).result == .unknown)
    }

    /// A module that calls `systemctl reboot` and returns: the device still runs the previous version.
    @Test func theRebootIsNotVerifiedBeforeIt() async throws {
        let recorder = try await RecorderDevice(Row(name: "", chain: "", result: .committed))
        let device = recorder.device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .rebooting)
        // The reboot has not come, and the agent asks again.
        #expect(await device.run(.resume(1)).result == .rebooting)
        #expect(await device.run(.resume(1), boot: 2).result == .committed)
        let log = try device.scratch.read("control/log").split(separator: "\n")
        #expect(
            log == [
                "Download", "ArtifactInstall", "ArtifactReboot", "ArtifactReboot", "ArtifactVerifyReboot",
                "ArtifactCommit", "Cleanup",
            ])
    }

    /// A module that restarts something other than the device declares it.
    @Test func aModuleForAPeripheralContinuesInTheSameBoot() async throws {
        let recorder = try await RecorderDevice(Row(name: "", chain: "", result: .committed))
        let device = recorder.device
        try device.scratch.write("modules/recorder.peripheral", "")
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .committed)
        #expect(try device.scratch.read("control/log").contains("ArtifactReboot\nArtifactVerifyReboot\n"))
    }

    /// The user cancels an installation that waits for its reboot.
    @Test func aCancelledInstallationIsRolledBack() async throws {
        let recorder = try await RecorderDevice(
            Row(name: "", reboot: "Automatic", chain: "", result: .committed))
        let device = recorder.device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .needsReboot(isRollback: false))
        #expect(await device.run(.cancel(7)).result == .unknown)
        #expect(await device.run(.cancel(1)).result == .interrupted("it was cancelled", code: .cancelled))
        #expect(try device.scratch.read("control/log").hasSuffix("ArtifactRollback\nArtifactFailure\nCleanup\n"))
        #expect(try !device.scratch.read("state/installer/attempts.json").contains("\"attempts\":1"))
    }

    @Test func eachStateHasItsTimeLimit() async throws {
        let device = try await RecorderDevice(
            Row(name: "", reboot: "No", chain: "", result: .rolledBack), timeouts: "{ ArtifactCommit = 1 }")
        try device.device.scratch.write("control/hang-ArtifactCommit", "")
        let job = try await device.device.job(1, version: 2, artifact: "artifact-file")
        guard case .rolledBack(let reason, _)? = try await device.device.runToTheEnd(job) else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("ArtifactCommit") && reason.contains("took too long"))
    }

    @Test func theCallerReceivesTheOutputOfTheModule() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        let run = await device.device.run(
            .install(try await device.device.job(1, version: 2, artifact: "artifact-file")))
        #expect(run.output.contains("saying ArtifactInstall") && run.output.contains("shouting ArtifactInstall"))
        #expect(run.states.first == "verification")
    }

    @Test func theFileTreeFollowsTheProtocol() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        _ = await device.device.run(.install(try await device.device.job(1, version: 2, artifact: "artifact-file")))
        let seen = try device.device.scratch.read("control/tree")
        for line in [
            "./version 3", "./current_artifact_name device-1", "./current_artifact_group ",
            "./current_device_type unknown",
            "./header/artifact_name device-2", "./header/payload_type recorder",
            "./header/type-info {\"type\":\"recorder\"}",
            "./header/meta-data {\"value\":42}", "./files/payload new content", "./files/extra small",
        ] {
            #expect(seen.contains(line + "\n"), "\(line)")
        }
        #expect(seen.contains("tmp is empty"))
        #expect(
            seen.contains(
                "called with ArtifactInstall \(device.device.scratch.path)/state/installer/tree in \(device.device.scratch.path)/state/installer/tree"
            ))
    }
}
