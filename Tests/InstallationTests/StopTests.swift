import FoundationEssentials
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation

struct StopTests {
    private func record(_ step: InstallStep) -> InstallRecord {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        var record = InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "old")
        record.step = step
        return record
    }

    private static let steps: [InstallStep] =
        [.askNeedsReboot, .checkVersion, .checkHealth, .askSupportsRollback] + ModuleState.allCases.map { .module($0) }

    @Test @MainActor func aRequestToStopIsHandledOnce() {
        var calls = 0
        let stop = StopRequest()
        stop.whenMade { calls += 1 }
        #expect(calls == 0 && !stop.isMade)
        stop.make()
        stop.make()
        #expect(calls == 1 && stop.isMade)
        let other = StopRequest()
        other.whenMade { calls += 1 }
        other.clear()
        other.make()
        #expect(calls == 1 && other.isMade)
    }

    /// The module has not removed everything of its own yet.
    @Test func aCleanupThatWasStoppedRunsAgain() async throws {
        let recorder = try await RecorderDevice(
            .init(name: "", reboot: "No", fails: nil, chain: "", result: .committed))
        let device = recorder.device
        try device.scratch.write("control/hang-Cleanup", "")
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        async let first = device.run(.install(job))
        func cleanups() -> Int {
            ((try? device.scratch.read("control/log")) ?? "").split(separator: "\n").count { $0 == "Cleanup" }
        }
        #expect(await eventually { cleanups() == 1 })
        kill(try #require(pid_t(try device.scratch.read("control/installer").filter(\.isNumber))), SIGTERM)
        guard case .lost = await first.result else {
            Issue.record("it has not stopped")
            return
        }
        unlink("\(device.scratch.path)/control/hang-Cleanup")
        #expect(await device.run(.resume(1)).result == .committed)
        #expect(cleanups() == 2)
    }

    /// A step before which the installer stopped has not been interrupted.
    @Test(arguments: steps) func aStoppedStepBeginsAgainAndIsNotCounted(step: InstallStep) {
        for boot in ["old", "new"] {
            var stopped = record(step)
            stopped.wasStopped = true
            stopped.resume(bootID: boot)
            let isReboot = step == .module(.reboot) || step == .module(.rollbackReboot)
            // The shutdown was the reboot.
            if !isReboot || boot == "old" { #expect(stopped.step == step && stopped.interruptions == 0) }
            #expect(stopped.bootID == boot && stopped.wasStopped == nil && stopped.failure == nil)
        }
    }

    /// The installer continues behind a commit without ``InstallRecord/resume(bootID:)``.
    @Test func theNextStepHasNotBeenStopped() {
        var stopped = record(.module(.commit))
        stopped.wasStopped = true
        stopped.go(to: .module(.cleanup))
        #expect(stopped.wasStopped == nil)
    }

    @Test func aStepThatWasInterruptedAfterTheStopCounts() {
        var stopped = record(.module(.install))
        stopped.wasStopped = true
        stopped.resume(bootID: "new")
        stopped.resume(bootID: "new")
        #expect(stopped.failure == "it was interrupted during ArtifactInstall")
    }

    /// `ArtifactInstall` was ended in the middle: what it did is taken back, and nothing is counted.
    @Test func anInstallationThatWasEndedInTheMiddleIsExcused() {
        var record = record(.module(.install))
        record.attempts.countAttempt(at: 2)
        record.stop(inTheMiddle: true)
        record.resume(bootID: "new")
        #expect(record.step == .askSupportsRollback)
        var without = record
        for outcome in [StepOutcome.supportsRollback(true), .succeeded, .needsReboot(.no), .succeeded] {
            record.advance(outcome)
        }
        record.advance(.succeeded)
        record.advance(.succeeded)
        #expect(record.result == .interrupted("the installer was told to stop during ArtifactInstall", code: .stopped))
        #expect(record.attempts.refusal(of: 2, limit: 1) == nil)

        // Without a rollback, the module can only do it again.
        without.advance(.supportsRollback(false))
        #expect(without.step == .module(.install) && without.failure == nil && without.isExcused == nil)
        without.advance(.failed("no"))
        without.advance(.supportsRollback(false))
        #expect(without.isBroken)
    }

    @Test func aDownloadThatWasEndedInTheMiddleIsExcused() {
        var record = record(.module(.download))
        record.stop(inTheMiddle: true)
        record.resume(bootID: "old")
        record.advance(.succeeded)
        #expect(record.result == .interrupted("the installer was told to stop during Download", code: .stopped))
    }

    /// A version that shuts the device down looks like a user who switches it off, but not without an end.
    @Test func stopsAreCountedInTheEnd() {
        var record = record(.checkHealth)
        for _ in 0..<InstallRecord.maximumStops {
            record.stop(inTheMiddle: false)
            record.resume(bootID: "new")
        }
        #expect(record.step == .checkHealth && record.failure == nil)
        for _ in 0...InstallRecord.maximumHealthInterruptions {
            record.stop(inTheMiddle: false)
            record.resume(bootID: "new")
        }
        #expect(record.failure == "it was interrupted during the health check")

        var attempts = InstallAttempts()
        for _ in 0...InstallAttempts.maximumExcuses {
            attempts.countAttempt(at: 2)
            attempts.uncountAttempt(at: 2)
        }
        #expect(attempts.refusal(of: 2, limit: 1) != nil)
    }

    /// A damaged record must not end the installer.
    @Test(arguments: [Int.max, Int.min]) func storedCountsAreBounded(count: Int) throws {
        var damaged = record(.reboot)
        (damaged.stops, damaged.countedReboots) = (count, count)
        damaged = try JSONDecoder().decode(InstallRecord.self, from: JSONEncoder().encode(damaged))
        damaged.stop(inTheMiddle: false)
        damaged.resume(bootID: "new")
        #expect(damaged.step == .module(.verifyReboot))
        damaged.advance(.postponed("locked"))
        #expect(damaged.step == .askSupportsRollback)
    }

    @Test func aCancelledInstallationIsRolledBackBeforeItsReboot() {
        var waiting = record(.reboot)
        let isCancelled = waiting.cancel()
        #expect(isCancelled)
        var without = waiting
        waiting.advance(.supportsRollback(true))
        #expect(waiting.step == .module(.rollback))
        without.advance(.supportsRollback(false))
        #expect(without.step == .reboot && without.failure == nil, "it cannot be rolled back")
        for step in [InstallStep.checkHealth, .rebootIntoRollback, .module(.install)] {
            var other = record(step)
            let isCancelled = other.cancel()
            #expect(!isCancelled && other.step == step)
        }
    }

    /// A lock that another program holds, for example.
    @Test func whatIsPostponedIsNotCounted() {
        var record = record(.module(.install))
        record.attempts.countAttempt(at: 2)
        record.advance(.postponed("locked"))
        record.advance(.supportsRollback(false))
        record.advance(.succeeded)
        record.advance(.succeeded)
        #expect(record.result == .interrupted("locked", code: .moduleBusy))
        #expect(record.attempts.refusal(of: 2, limit: 1) == nil)

        var late = self.record(.module(.commit))
        late.advance(.postponed("locked"))
        late.advance(.supportsRollback(false))
        #expect(late.isBroken, "the version is half installed")
    }

    /// The bootloader started the new version before anything asked for the reboot.
    @Test(arguments: [InstallStep.module(.install), .askNeedsReboot, .askSupportsRollback, .module(.rollback)])
    func aRollbackOfARunningVersionReboots(step: InstallStep) {
        for runsVersion in [true, false] {
            var record = record(step)
            record.needsReboot = .automatic
            record.failure = step == .askNeedsReboot ? nil : "no"
            record.resume(bootID: "new", runsVersion: runsVersion)
            #expect(record.hasRebooted == runsVersion)
            if record.step == .askNeedsReboot { continue }
            if record.step == .askSupportsRollback { record.advance(.supportsRollback(true)) }
            record.advance(.succeeded)
            #expect(record.step == (runsVersion ? .rebootIntoRollback : .restartUnitsForRollback))
        }
    }

    /// An installation that did not fail and has not rebooted the device is taken back without a reboot.
    @Test func anExcusedInstallationDoesNotReboot() {
        var record = record(.module(.install))
        record.advance(.postponed("locked"))
        for outcome in [StepOutcome.supportsRollback(true), .succeeded, .needsReboot(.yes)] { record.advance(outcome) }
        #expect(record.step == .restartUnitsForRollback)
    }

    @Test func anExcusedRebootIsNotCounted() {
        var record = record(.reboot)
        record.needsReboot = .automatic
        record.attempts.countAttempt(at: 2)
        record.resume(bootID: "new")
        record.advance(.postponed("locked"))
        record.advance(.supportsRollback(true))
        for boot in 0..<6 where record.result == nil {
            record.resume(bootID: "\(boot)")
            record.advance(.succeeded)
        }
        #expect(
            record.result == .interrupted("locked", code: .moduleBusy)
                && record.attempts == InstallAttempts().excused(2))
    }
}

extension InstallAttempts {
    /// One installation that was not counted.
    fileprivate func excused(_ versionCode: Int) -> InstallAttempts {
        var attempts = self
        attempts.countAttempt(at: versionCode)
        attempts.uncountAttempt(at: versionCode)
        return attempts
    }
}
