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
}
