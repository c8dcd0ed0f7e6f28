import Host
import Simulator
import Synchronization
import TestSupport
import Testing
import UpdateCore
import Verification

@testable import Installation

/// Restarts of the whole box, which a test plays by giving the installer another boot id.
@Suite struct RestartTests {
    private struct Boots {
        let recorder: RecorderBox
        var scratch: Scratch { recorder.box.scratch }

        init(fails: String? = nil) async throws {
            recorder = try await RecorderBox(
                .init(name: "", reboot: "Automatic", fails: fails, chain: "", result: .committed))
        }

        func boot(_ id: String, _ request: InstallRequest, reboot: String? = nil) async throws -> InstallResult {
            let scratch = scratch
            let key = recorder.box.publisher.publicKey
            let settings = InstallSettings(
                module: "recorder", moduleFolders: ["\(scratch.path)/modules"], fileName: "payload", files: [:],
                metaData: "{}",
                timeout: 20, timeouts: [:],
                rebootCommand: ["/bin/sh", "-c", reboot ?? "echo SystemReboot >>\(scratch.path)/control/log"],
                devModelKey: nil)
            let installer = try Installer(
                folder: "\(scratch.path)/state/installer", bootID: id,
                .init(
                    settings: { settings },
                    installedVersion: {
                        let text = (try? scratch.read("version")) ?? ""
                        return .known(versionCode: text.contains("2") ? 2 : 1, versionName: nil)
                    },
                    verify: { artifact, offer, destination in
                        let policy = VerificationPolicy(
                            mode: .minisign, keys: [key], sidecarURL: "{url}.minisig", requireVersionCode: true)
                        return try ArtifactVerifier(policy).copy(artifact, of: offer, devModelKey: nil, to: destination)
                    },
                    report: { _ in }))
            return try await installer.handle(request)
        }

        var chain: String {
            get throws {
                try scratch.read("control/log").split(separator: "\n").map { $0.replacing("Artifact", with: "") }
                    .joined(separator: " ")
            }
        }
    }

    @Test func anAutomaticRestartGoesOnInTheNextBoot() async throws {
        let boots = try await Boots()
        let order = try await boots.recorder.box.order(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(order)) == .needsRestart(isRollback: false))
        // The agent restarts within the same boot: nothing has changed, and the box restarts only when it is told to.
        #expect(try await boots.boot("a", .resume(1)) == .needsRestart(isRollback: false))
        #expect(try boots.chain == "Download Install")
        #expect(try await boots.boot("a", .restart(7)) == .unknown)
        #expect(try await boots.boot("a", .restart(1)) == .restarting)
        #expect(try await boots.boot("b", .resume(1)) == .committed)
        #expect(try boots.chain == "Download Install SystemReboot VerifyReboot Commit Cleanup")
        // What needs no restart gets none.
        #expect(try await boots.boot("b", .restart(1)) == .committed)
        #expect(try !boots.chain.hasSuffix("SystemReboot"))
    }

    @Test func aRestartThatIsRefusedIsToldWithItsReason() async throws {
        let boots = try await Boots()
        let order = try await boots.recorder.box.order(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(order)) == .needsRestart(isRollback: false))
        let refused = try await boots.boot("a", .restart(1), reboot: "echo 'inhibited by TV' >&2; echo more; exit 1")
        #expect(refused == .restartRefused("inhibited by TV"))
        #expect(
            try await boots.boot("a", .restart(1), reboot: "exit 3")
                == .restartRefused("install.rebootCommand: exit status 3"))
        #expect(try await boots.boot("a", .restart(1)) == .restarting)
    }

    /// Somebody pulled the plug, which is a restart too.
    @Test func aRestartThatNobodyOrderedWillDo() async throws {
        let boots = try await Boots()
        let order = try await boots.recorder.box.order(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(order)) == .needsRestart(isRollback: false))
        #expect(try await boots.boot("b", .restart(1)) == .committed)
        #expect(try boots.chain == "Download Install VerifyReboot Commit Cleanup")
    }

    @Test func aFailureAfterTheRestartRestartsIntoTheOldVersion() async throws {
        let boots = try await Boots(fails: "ArtifactVerifyReboot")
        let order = try await boots.recorder.box.order(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(order)) == .needsRestart(isRollback: false))
        #expect(try await boots.boot("b", .resume(1)) == .needsRestart(isRollback: true))
        #expect(try await boots.boot("b", .restart(1)) == .restarting)
        guard case .rolledBack = try await boots.boot("c", .resume(1)) else {
            Issue.record("not rolled back")
            return
        }
        #expect(
            try boots.chain
                == "Download Install VerifyReboot Rollback SystemReboot VerifyRollbackReboot Failure Cleanup"
        )
    }

    @Test func aFailureBeforeTheRestartNeedsNone() async throws {
        let boots = try await Boots(fails: "ArtifactInstall")
        let order = try await boots.recorder.box.order(1, version: 2, artifact: "artifact-file")
        guard case .rolledBack = try await boots.boot("a", .install(order)) else {
            Issue.record("not rolled back")
            return
        }
        #expect(try boots.chain == "Download Install Rollback Failure Cleanup")
    }

    /// A state that brings the box down each time it is entered does not do so for ever.
    @Test(arguments: [ModuleState.rollback, .verifyRollbackReboot, .failure, .cleanup])
    func aStateThatIsInterruptedAgainAndAgainIsPassedOver(state: ModuleState) async throws {
        let order = InstallOrder(
            id: 1, offer: try InstallerBox.offer(2), artifact: Artifact(path: "/x", sidecarPath: nil, size: 0))
        var record = InstallRecord(order: order, bootID: "0")
        record.step = .module(state)
        record.failure = "it failed"
        record.needsReboot = .no
        for boot in 1...100 where record.step == .module(state) { record.resume(bootID: "\(boot)") }
        #expect(record.step != .module(state))
    }

    /// Every step has a way on, whatever becomes of it.
    @Test func noOutcomeLeavesTheMachineStuck() throws {
        let order = InstallOrder(
            id: 1, offer: try InstallerBox.offer(2), artifact: Artifact(path: "/x", sidecarPath: nil, size: 0))
        let outcomes: [StepOutcome] = [
            .succeeded, .failed("no"), .needsReboot(.no), .needsReboot(.yes), .needsReboot(.automatic),
            .supportsRollback(true),
            .supportsRollback(false),
        ]
        var chance = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            var record = InstallRecord(order: order, bootID: "0")
            var steps = 0
            while record.result == nil {
                steps += 1
                try #require(steps < 300, "no end: \(record)")
                if steps % 7 == 0 { record.resume(bootID: "\(steps)") }
                if record.result == nil, let outcome = outcomes.randomElement(using: &chance) {
                    record.advance(outcome)
                }
            }
            if record.result == .committed { #expect(record.failure == nil) }
        }
    }
}
