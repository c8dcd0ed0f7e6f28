import Testing
import UpdateCore

@testable import Installation

/// The installer's reasons for programs come from the step that failed.
struct InstallerReasonCodeTests {
    private func record(_ step: InstallStep) -> InstallRecord {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        var record = InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "a")
        record.step = step
        return record
    }

    /// Rolls back to the end.
    private func result(_ failed: InstallRecord) -> InstallResult? {
        var record = failed
        for _ in 0..<20 where record.result == nil {
            switch record.step {
            case .askSupportsRollback: record.advance(.supportsRollback(true))
            case .askNeedsRebootForRollback: record.advance(.needsReboot(.no))
            default: record.advance(.succeeded)
            }
        }
        return record.result
    }

    @Test(arguments: [
        (InstallStep.module(.install), ReasonCode.moduleFailed), (.module(.commit), .moduleFailed),
        (.module(.download), .moduleFailed), (.askNeedsReboot, .moduleFailed), (.module(.verifyReboot), .rebootFailed),
        (.restartUnits, .unitsFailed), (.checkVersion, .versionMismatch), (.checkHealth, .healthCheckFailed),
    ])
    func aFailureHasTheCodeOfItsStep(step: InstallStep, code: ReasonCode) {
        var record = record(step)
        record.advance(.failed("no"))
        // A failure during the rollback does not replace the reason.
        #expect(result(record) == .rolledBack("no", code: code))
    }

    @Test func otherReasonsHaveCodesOfTheirOwn() {
        var busy = record(.module(.install))
        busy.advance(.postponed("locked"))
        #expect(result(busy) == .interrupted("locked", code: .moduleBusy))

        var cut = record(.module(.install))
        cut.resume(bootID: "b")
        #expect(result(cut) == .rolledBack("it was interrupted during ArtifactInstall", code: .interrupted))

        var cancelled = record(.reboot)
        let isCancelled = cancelled.cancel()
        #expect(isCancelled)
        #expect(result(cancelled) == .interrupted("it was cancelled", code: .cancelled))

        var forged = record(.prepare)
        forged.advance(.failed("forged", code: .signatureInvalid))
        #expect(forged.result == .refused("forged", code: .signatureInvalid))
        var missing = record(.prepare)
        missing.advance(.failed("no module"))
        #expect(missing.result == .refused("no module", code: .preparationFailed))
    }
}
