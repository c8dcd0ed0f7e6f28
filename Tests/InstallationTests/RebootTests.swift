import Glibc
import Host
import Simulator
import Synchronization
import TestSupport
import Testing
import UpdateCore
import Verification

@testable import Installation

/// Reboots of the device, which a test simulates with another boot id.
@Suite struct RebootTests {
    /// A device whose module records its states.
    struct Recorded {
        let recorder: RecorderDevice
        var boots: Boots
        var scratch: Scratch { recorder.device.scratch }

        init(fails: String? = nil) async throws {
            recorder = try await RecorderDevice(
                .init(name: "", reboot: "Automatic", fails: fails, chain: "", result: .committed))
            boots = Boots(
                recorder.device.scratch, recorder.device.publisher, module: "recorder",
                directory: "\(recorder.device.scratch.path)/modules", fileName: "payload",
                versionFile: "\(recorder.device.scratch.path)/version")
        }

        private func command(_ line: String?) -> [String] {
            ["/bin/sh", "-c", line ?? "echo SystemReboot >>\(scratch.path)/control/log"]
        }

        func boot(
            _ id: String, _ request: InstallRequest, isRoot: Bool = false, reboot: String? = nil
        ) async throws -> InstallResult {
            try await boots.boot(id, request, isRoot: isRoot, reboot: command(reboot))
        }

        func start(
            _ id: String, reboot: String? = nil, health: HealthCheck = HealthCheck()
        ) async throws -> InstallResult? {
            try await boots.start(id, reboot: command(reboot), health: health)
        }

        var chain: String {
            get throws {
                try scratch.read("control/log").split(separator: "\n").map { $0.replacing("Artifact", with: "") }
                    .joined(separator: " ")
            }
        }
    }

    @Test func anInstallationWithARebootResumesInTheNextBoot() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        // The agent restarts within the same boot: nothing changes, and the device reboots only on request.
        #expect(try await boots.boot("a", .resume(1)) == .needsReboot(isRollback: false))
        #expect(try boots.chain == "Download Install")
        #expect(try await boots.boot("a", .reboot(1)) == .rebooting)
        #expect(try await boots.boot("b", .resume(1)) == .committed)
        #expect(try await boots.boot("b", .reboot(7)) == .unknown)
        #expect(try boots.chain == "Download Install SystemReboot VerifyReboot Commit Cleanup")
        // An installation that needs no reboot gets none.
        #expect(try await boots.boot("b", .reboot(1)) == .committed)
        #expect(try !boots.chain.hasSuffix("SystemReboot"))
    }

    /// Its request for the same version, with a new id, receives that a reboot is needed, and the agent requests that one.
    @Test func anAgentThatLostItsStateGetsTheReboot() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        let again = try await boots.recorder.device.job(7, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(again)) == .needsReboot(isRollback: false))
        #expect(try await boots.boot("a", .reboot(7)) == .rebooting)
        // The device has rebooted for another reason, and the id is as unknown as before.
        #expect(try await boots.boot("b", .reboot(7)) == .unknown)
        #expect(try await boots.boot("b", .resume(1)) == .committed)
        #expect(try boots.chain == "Download Install SystemReboot VerifyReboot Commit Cleanup")
    }

    @Test func aRefusedRebootIsReportedWithItsReason() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        let refused = try await boots.boot("a", .reboot(1), reboot: "echo 'inhibited by TV' >&2; echo more >&2; exit 1")
        #expect(refused == .rebootRefused("inhibited by TV"))
        #expect(
            try await boots.boot("a", .reboot(1), reboot: "exit 3")
                == .rebootRefused("install.rebootCommand: exit status 3"))
        #expect(try await boots.boot("a", .reboot(1)) == .rebooting)
    }

    /// The record says so, because a reboot that was only delayed is not forced as soon as one that did not come.
    @Test func aRebootThatWasDelayedBeforeIsNotedAsTried() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        let path = "\(boots.scratch.path)/state/installer/installation.json"
        func record() throws -> InstallRecord {
            try #require(try StoredFile.read(InstallRecord.self, from: path, limit: 1 << 20)?.value)
        }
        var delayed = try record()
        let since = Clock.bootTime.seconds - 1
        delayed.rebootRequestedSince = since
        try StoredFile.write(delayed, to: path, limit: 1 << 20)
        #expect(try await boots.boot("a", .reboot(1)) == .rebooting)
        #expect(try record().rebootWasTried == true && record().rebootRequestedSince == since)
    }

    /// The new version runs already: it is too late to cancel.
    @Test func anInstallationIsNotCancelledAfterItsReboot() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        #expect(try await boots.boot("b", .cancel(1)) == .committed)
        #expect(try boots.chain == "Download Install VerifyReboot Commit Cleanup")
    }

    /// A power cut is a reboot too.
    @Test func anUnrequestedRebootCompletesTheInstallation() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        #expect(try await boots.boot("b", .reboot(1)) == .committed)
        #expect(try boots.chain == "Download Install VerifyReboot Commit Cleanup")
    }

    @Test func aFailureAfterTheRebootRebootsIntoTheOldVersion() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        #expect(try await boots.boot("b", .resume(1)) == .needsReboot(isRollback: true))
        #expect(try await boots.boot("b", .reboot(1)) == .rebooting)
        guard case .rolledBack = try await boots.boot("c", .resume(1)) else {
            Issue.record("not rolled back")
            return
        }
        #expect(
            try boots.chain
                == "Download Install VerifyReboot Rollback SystemReboot VerifyRollbackReboot Failure Cleanup"
        )
    }

    @Test func aFailureBeforeTheRebootNeedsNoReboot() async throws {
        let boots = try await Recorded(fails: "ArtifactInstall")
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        guard case .rolledBack = try await boots.boot("a", .install(job)) else {
            Issue.record("not rolled back")
            return
        }
        #expect(try boots.chain == "Download Install Rollback Failure Cleanup")
    }

    // MARK: without the agent

    /// After the reboot a healthy device commits the version without a request of the agent.
    @Test func aRebootedDeviceCommitsByItself() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.start("a") == nil, "there is nothing to resume")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        #expect(try await boots.start("a") == .needsReboot(isRollback: false), "the agent decides when to reboot")
        let marker = "\(boots.scratch.path)/healthy"
        // The device becomes healthy after the first check.
        let program = ["/bin/sh", "-c", "[ -e \(marker) ] || { touch \(marker); exit 1; }"]
        #expect(try await boots.start("b", health: HealthCheck(program: program, timeLimit: 60)) == .committed)
        #expect(try boots.chain == "Download Install VerifyReboot Commit Cleanup")
        #expect(try await boots.start("c") == nil)
        #expect(try await boots.boot("c", .resume(1)) == .committed, "the agent gets the result later")
    }

    /// A device that is not healthy rolls back, and reboots for it, without a request of the agent.
    @Test func aRebootedDeviceThatIsNotHealthyRollsBackByItself() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        let unhealthy = HealthCheck(program: ["/bin/false"], timeLimit: 1)
        #expect(
            try await boots.start("b", reboot: "echo 'inhibited by TV' >&2; exit 1", health: unhealthy)
                == .rebootRefused("inhibited by TV"))
        #expect(try await boots.start("b", health: unhealthy) == .rebooting)
        guard case .rolledBack(let reason, _)? = try await boots.start("c") else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.hasPrefix("the device is not healthy after 1 s: /bin/false: "), "\(reason)")
        #expect(
            try boots.chain
                == "Download Install VerifyReboot Rollback SystemReboot VerifyRollbackReboot Failure Cleanup")
    }

    /// A health check that crashes the device each time is not repeated for ever.
    @Test func aHealthCheckThatIsInterruptedTooOftenFails() throws {
        var record = InstallRecord(
            job: InstallJob(id: 1, offer: try InstallerDevice.offer(2), sidecar: nil), bootID: "0")
        record.step = .checkHealth
        record.needsReboot = .automatic
        for boot in 1...3 {
            record.resume(bootID: "\(boot)")
            #expect(record.step == .checkHealth)
        }
        record.resume(bootID: "4")
        #expect(record.step == .askSupportsRollback)
    }

    /// The artifact is lost and nothing has begun: the agent, which has the file, sends the request again.
    @Test func anInstallationThatHasNotBegunIsForgotten() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        let record = InstallRecord(job: InstallJob(id: 1, offer: job.offer, sidecar: nil), bootID: "a")
        try boots.scratch.write(
            "state/installer/installation.json", String(decoding: try JSONLine.encode(record), as: UTF8.self))
        #expect(try await boots.start("b") == .unknown)
        #expect(try await boots.start("b") == nil)
        #expect(try await boots.boot("b", .install(job)) == .needsReboot(isRollback: false))
    }

    /// A state that crashes the device each time is not repeated for ever.
    @Test(arguments: [ModuleState.rollback, .verifyRollbackReboot, .failure, .cleanup])
    func aStateThatIsInterruptedTooOftenIsSkipped(state: ModuleState) async throws {
        let job = InstallJob(id: 1, offer: try InstallerDevice.offer(2), sidecar: nil)
        var record = InstallRecord(job: job, bootID: "0")
        record.step = .module(state)
        record.failure = "it failed"
        record.needsReboot = .no
        for boot in 1...100 where record.step == .module(state) { record.resume(bootID: "\(boot)") }
        #expect(record.step != .module(state))
    }

    /// Every step has a next step for each outcome.
    @Test func noOutcomeLeavesTheMachineStuck() throws {
        let job = InstallJob(id: 1, offer: try InstallerDevice.offer(2), sidecar: nil)
        let outcomes: [StepOutcome] = [
            .succeeded, .failed("no"), .needsReboot(.no), .needsReboot(.yes), .needsReboot(.automatic),
            .supportsRollback(true),
            .supportsRollback(false), .noSpace("no"),
        ]
        var chance = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            var record = InstallRecord(job: job, bootID: "0")
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
