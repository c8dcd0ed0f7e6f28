import Host
import Testing
import UpdateCore

@testable import Installation

/// Which step follows which, one transition at a time.
@Suite struct InstallTransitionTests {
    private static let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)

    private static func record(_ step: InstallStep, _ change: (inout InstallRecord) -> Void = { _ in }) -> InstallRecord
    {
        var record = InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "old")
        record.step = step
        record.attempts.countAttempt(at: 2)
        change(&record)
        return record
    }

    private static func after(
        _ outcome: StepOutcome, in step: InstallStep, _ change: (inout InstallRecord) -> Void = { _ in }
    ) -> InstallRecord {
        var record = record(step, change)
        record.advance(outcome)
        return record
    }

    private static func failed(_ record: inout InstallRecord) {
        (record.failure, record.failureCode) = ("no", .moduleFailed)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var step: InstallStep
        var outcome: StepOutcome
        var next: InstallStep
        var testDescription: String { "\(step.name): \(outcome)" }
        init(_ step: InstallStep, _ outcome: StepOutcome, _ next: InstallStep) {
            (self.step, self.outcome, self.next) = (step, outcome, next)
        }
    }

    /// Without a failure so far.
    static let forward: [Row] = [
        Row(.prepare, .succeeded, .module(.download)),
        Row(.prepare, .verified(minVersionCode: nil), .module(.download)),
        Row(.prepare, .failed("no"), .done), Row(.prepare, .noSpace("full"), .done),
        Row(.module(.download), .succeeded, .module(.install)),
        Row(.module(.download), .failed("no"), .module(.cleanup)),
        Row(.module(.download), .postponed("no"), .module(.cleanup)),
        Row(.module(.install), .succeeded, .askNeedsReboot),
        Row(.module(.install), .failed("no"), .askSupportsRollback),
        Row(.module(.install), .postponed("no"), .askSupportsRollback),
        Row(.module(.install), .noSpace("full"), .askSupportsRollback),
        Row(.askNeedsReboot, .needsReboot(.no), .restartUnits),
        Row(.askNeedsReboot, .needsReboot(.yes), .module(.reboot)),
        Row(.askNeedsReboot, .needsReboot(.automatic), .reboot),
        Row(.askNeedsReboot, .failed("no"), .askSupportsRollback),
        Row(.askNeedsReboot, .succeeded, .askSupportsRollback),
        Row(.module(.reboot), .succeeded, .module(.verifyReboot)),
        Row(.module(.reboot), .failed("no"), .askSupportsRollback),
        Row(.module(.reboot), .rebooting, .module(.reboot)), Row(.reboot, .awaitsReboot, .reboot),
        Row(.restartUnits, .succeeded, .checkVersion), Row(.restartUnits, .failed("no"), .askSupportsRollback),
        Row(.module(.verifyReboot), .succeeded, .checkVersion),
        Row(.module(.verifyReboot), .failed("no"), .askSupportsRollback),
        Row(.checkVersion, .succeeded, .checkHealth), Row(.checkVersion, .failed("no"), .askSupportsRollback),
        Row(.checkHealth, .succeeded, .module(.commit)), Row(.checkHealth, .failed("no"), .askSupportsRollback),
        Row(.checkHealth, .agentStopped, .checkHealth), Row(.checkHealth, .stopped, .checkHealth),
        Row(.module(.commit), .succeeded, .module(.cleanup)),
        Row(.module(.commit), .failed("no"), .askSupportsRollback),
        Row(.module(.cleanup), .succeeded, .done), Row(.module(.cleanup), .failed("no"), .done),
    ]

    @Test(arguments: forward) func aStepHasOneSuccessor(row: Row) {
        #expect(Self.after(row.outcome, in: row.step).step == row.next)
    }

    /// With a failure before.
    static let back: [Row] = [
        Row(.askSupportsRollback, .supportsRollback(true), .module(.rollback)),
        Row(.askSupportsRollback, .supportsRollback(false), .module(.failure)),
        Row(.askSupportsRollback, .failed("no"), .module(.failure)),
        Row(.module(.rollback), .succeeded, .askNeedsRebootForRollback),
        Row(.module(.rollback), .failed("no"), .module(.failure)),
        Row(.module(.rollback), .postponed("no"), .module(.failure)),
        Row(.askNeedsRebootForRollback, .needsReboot(.no), .restartUnitsForRollback),
        Row(.askNeedsRebootForRollback, .needsReboot(.yes), .module(.rollbackReboot)),
        Row(.askNeedsRebootForRollback, .needsReboot(.automatic), .restartUnitsForRollback),
        Row(.askNeedsRebootForRollback, .failed("no"), .restartUnitsForRollback),
        Row(.module(.rollbackReboot), .succeeded, .module(.verifyRollbackReboot)),
        Row(.module(.rollbackReboot), .failed("no"), .module(.verifyRollbackReboot)),
        Row(.restartUnitsForRollback, .succeeded, .module(.failure)),
        Row(.restartUnitsForRollback, .failed("no"), .module(.failure)),
        Row(.module(.verifyRollbackReboot), .succeeded, .module(.failure)),
        Row(.module(.failure), .succeeded, .module(.cleanup)), Row(.module(.failure), .failed("no"), .module(.cleanup)),
        Row(.module(.cleanup), .succeeded, .done), Row(.module(.cleanup), .failed("no"), .done),
    ]

    @Test(arguments: back) func aStepOfARollbackHasOneSuccessor(row: Row) {
        #expect(Self.after(row.outcome, in: row.step, Self.failed).step == row.next)
    }

    // MARK: what is noted

    @Test func theNeedForARebootIsNoted() {
        for need in [RebootNeed.no, .yes, .automatic] {
            let record = Self.after(.needsReboot(need), in: .askNeedsReboot)
            #expect(record.needsReboot == need && record.hasRebooted == (need == .yes))
        }
        #expect(Self.after(.verified(minVersionCode: 7), in: .prepare).minVersionCode == 7)
        #expect(Self.after(.failed("no"), in: .askNeedsRebootForRollback, Self.failed).needsReboot == .no)
    }

    /// What refuses an installation at its begin is no failure of the version.
    @Test func nothingThatDidNotBeginHasFailed() {
        let long = String(repeating: "x", count: 2000)
        let cut = String(repeating: "x", count: InstallRecord.reasonLimit)
        #expect(Self.after(.failed(long), in: .prepare).result == .refused(cut, code: .preparationFailed))
        #expect(
            Self.after(.failed("no", code: .signatureInvalid), in: .prepare).result
                == .refused("no", code: .signatureInvalid))
        #expect(Self.after(.noSpace(long), in: .prepare).result == .noSpace(cut))
        #expect(Self.after(.noSpace("full"), in: .module(.install)).failureCode == .diskFull)
    }

    @Test func eachStepHasItsCode() {
        let codes: [(InstallStep, ReasonCode)] = [
            (.module(.download), .moduleFailed), (.module(.install), .moduleFailed), (.module(.commit), .moduleFailed),
            (.askNeedsReboot, .moduleFailed), (.module(.reboot), .rebootFailed),
            (.module(.verifyReboot), .rebootFailed),
            (.restartUnits, .unitsFailed), (.checkVersion, .versionMismatch), (.checkHealth, .healthCheckFailed),
        ]
        for (step, code) in codes {
            let record = Self.after(.failed("why"), in: step)
            #expect(record.failure == "why" && record.failureCode == code && record.isExcused == nil, "\(step)")
            let other = Self.after(.failed("why", code: .interrupted), in: step)
            #expect(other.failureCode == .interrupted, "\(step)")
            let postponed = Self.after(.postponed("why"), in: step)
            #expect(postponed.failureCode == .moduleBusy && postponed.isExcused == true, "\(step)")
            #expect(postponed.returnsTo == (step == .module(.install) ? .module(.failure) : nil), "\(step)")
        }
    }

    @Test func theFirstReasonStays() {
        var record = Self.after(.failed("first", code: .versionMismatch), in: .checkVersion)
        for outcome in [StepOutcome.supportsRollback(true), .failed("second")] { record.advance(outcome) }
        #expect(record.failure == "first" && record.failureCode == .versionMismatch && record.isBroken)
        record = Self.after(.failed("units"), in: .restartUnitsForRollback, Self.failed)
        #expect(record.failure == "no; after the rollback: units" && !record.isBroken)
        // Whatever comes in a rollback.
        for step in [InstallStep.module(.rollback), .askSupportsRollback, .module(.verifyRollbackReboot)] {
            record = Self.after(.noSpace("full"), in: step, Self.failed)
            #expect(record.failure == "no" && record.failureCode == .moduleFailed, "\(step)")
        }
        // A rollback is not postponed by a busy module: its reason stays, and it is not excused.
        record = Self.after(.postponed("busy"), in: .module(.rollback), Self.failed)
        #expect(record.failure == "no" && record.isExcused == nil && record.isBroken)
    }

    // MARK: a rollback's reboots

    @Test func aRollbackRebootsAsTheInstallationDid() {
        typealias Case = (need: RebootNeed?, rebooted: Bool, excused: Bool, next: InstallStep, count: Int)
        let cases: [Case] = [
            (.no, true, false, .restartUnitsForRollback, 0), (.automatic, false, false, .restartUnitsForRollback, 0),
            (.automatic, true, false, .rebootIntoRollback, 1), (.automatic, true, true, .rebootIntoRollback, 1),
            (.yes, false, false, .module(.rollbackReboot), 1), (.yes, true, true, .module(.rollbackReboot), 1),
            (.yes, false, true, .restartUnitsForRollback, 0),
        ]
        for found in cases {
            let record = Self.after(.succeeded, in: .module(.rollback)) {
                Self.failed(&$0)
                ($0.needsReboot, $0.hasRebooted, $0.isExcused) = (
                    found.need, found.rebooted, found.excused ? true : nil
                )
            }
            #expect(record.step == found.next && record.rollbackReboots == found.count, "\(found)")
        }
    }

    @Test func aRollbackRebootsThreeTimesAtMost() {
        for count in 0...InstallRecord.maximumRollbackReboots {
            let record = Self.after(.failed("wrong slot"), in: .module(.verifyRollbackReboot)) {
                Self.failed(&$0)
                ($0.needsReboot, $0.rollbackReboots) = (.yes, count)
            }
            let isLast = count == InstallRecord.maximumRollbackReboots
            #expect(record.step == (isLast ? .module(.failure) : .module(.rollbackReboot)), "\(count)")
            #expect(record.isBroken == isLast && record.rollbackReboots == min(count + 1, 3), "\(count)")
        }
    }

    // MARK: results

    @Test func theEndHasTheRightResult() {
        func result(_ change: (inout InstallRecord) -> Void) -> (InstallResult?, Int) {
            let record = Self.after(.succeeded, in: .module(.cleanup), change)
            return (record.result, record.attempts.versions.first?.attempts ?? -1)
        }
        #expect(result { _ in } == (.committed, 1))
        #expect(result { Self.failed(&$0) } == (.rolledBack("no", code: .moduleFailed), 1))
        #expect(
            result {
                Self.failed(&$0); $0.isBroken = true
            } == (.failed("no", code: .moduleFailed), 1))
        #expect(
            result {
                Self.failed(&$0); $0.isExcused = true
            } == (.interrupted("no", code: .moduleFailed), 0))
        #expect(
            result {
                Self.failed(&$0); ($0.isExcused, $0.isBroken) = (true, true)
            }
                == (.failed("no", code: .moduleFailed), 1))
        // Its reboots into the version are not counted either.
        let excused = Self.after(.succeeded, in: .module(.cleanup)) {
            Self.failed(&$0)
            $0.isExcused = true
            for _ in 1...2 { $0.attempts.countReboot(into: 2) }
            $0.countedReboots = 1
        }
        #expect(excused.attempts.versions.first?.reboots == 1)
    }

    /// A module without a rollback continues what was only cancelled or stopped.
    @Test func withoutARollbackTheStepGoesOn() {
        var waiting = Self.record(.module(.reboot))
        let isCancelled = waiting.cancel()
        #expect(isCancelled)
        #expect(waiting.step == .askSupportsRollback && waiting.isExcused == true && waiting.failureCode == .cancelled)
        waiting.advance(.supportsRollback(false))
        #expect(waiting.step == .module(.reboot) && waiting.returnsTo == nil)
        #expect(waiting.failure == nil && waiting.failureCode == nil && waiting.isExcused == nil)
        for change in [{ Self.failed(&$0) }, { $0.result = .committed }] as [(inout InstallRecord) -> Void] {
            var record = Self.record(.reboot, change)
            let isCancelled = record.cancel()
            #expect(!isCancelled && record.step == .reboot)
        }
        // A query that failed is not a rollback.
        var asked = Self.record(.reboot)
        let isAsked = asked.cancel()
        #expect(isAsked)
        asked.advance(.failed("the query failed"))
        #expect(asked.step == .reboot && asked.failure == nil)
    }

    // MARK: interruptions, at their limits

    private static let everyNewStep: [InstallStep] =
        [
            .prepare, .askNeedsReboot, .restartUnits, .reboot, .checkVersion, .checkHealth, .askSupportsRollback,
            .askNeedsRebootForRollback, .rebootIntoRollback, .restartUnitsForRollback, .done,
        ] + ModuleState.allCases.map { .module($0) }

    @Test func aNewStepBeginsWithoutThePast() {
        for step in everyStep {
            var record = Self.record(.checkHealth) {
                ($0.interruptions, $0.rebootRequestedSince, $0.rebootWasTried) = (3, 5, true)
                ($0.wasStopped, $0.wasEnded) = (true, true)
            }
            record.go(to: step)
            #expect(record.step == step && record.interruptions == 0 && record.rebootRequestedSince == nil)
            #expect(record.rebootWasTried == nil && record.wasStopped == nil && record.wasEnded == nil)
        }
    }

    private var everyStep: [InstallStep] { Self.everyNewStep }

    @Test(arguments: [
        (InstallStep.module(.rollback), 10), (.module(.verifyRollbackReboot), 10), (.module(.failure), 10),
        (.module(.cleanup), 10), (.restartUnitsForRollback, 10), (.restartUnits, 3), (.checkHealth, 3),
        (.module(.download), 0), (.module(.install), 0), (.module(.verifyReboot), 0), (.module(.commit), 0),
    ])
    func aStepIsRepeatedSoOftenAndNotMoreOften(step: InstallStep, times: Int) {
        var record = Self.record(step) { $0.needsReboot = .no }
        for number in 0..<times {
            record.resume(bootID: "\(number)")
            #expect(record.step == step && record.interruptions == number + 1, "\(number)")
        }
        record.resume(bootID: "last")
        #expect(record.step != step && record.bootID == "last")
        if times <= 3 { #expect(record.failureCode == .interrupted) }
    }

    @Test(arguments: [
        InstallStep.prepare, .askNeedsReboot, .askSupportsRollback, .askNeedsRebootForRollback, .checkVersion, .done,
    ])
    func aStepThatDoesNoHarmIsRepeatedForEver(step: InstallStep) {
        var record = Self.record(step)
        for number in 0..<50 { record.resume(bootID: "\(number)") }
        #expect(record.step == step && record.failure == nil)
        #expect(record.interruptions == InstallRecord.maximumInterruptions + 1)
    }

    @Test func onlyANewBootEndsTheWaitForIt() {
        let waits: [(InstallStep, InstallStep, Int)] = [
            (.reboot, .module(.verifyReboot), 1), (.module(.reboot), .module(.verifyReboot), 1),
            (.rebootIntoRollback, .module(.verifyRollbackReboot), 0),
            (.module(.rollbackReboot), .module(.verifyRollbackReboot), 0),
        ]
        for (step, next, reboots) in waits {
            for stopped in [nil, true] {
                var record = Self.record(step) { $0.wasStopped = stopped }
                record.resume(bootID: "old")
                #expect(record.step == step && record.attempts.versions.first?.reboots == 0, "\(step)")
                if stopped == true { record.wasStopped = true }
                record.resume(bootID: "new")
                #expect(record.step == next && record.bootID == "new", "\(step)")
                #expect(record.attempts.versions.first?.reboots == reboots, "\(step)")
                #expect(record.countedReboots == (reboots == 0 ? nil : 1), "\(step)")
                #expect(record.hasRebooted == (step == .reboot), "\(step)")
            }
        }
        var again = Self.record(.reboot) { $0.countedReboots = 2 }
        again.resume(bootID: "new")
        #expect(again.countedReboots == 3)
    }

    @Test func aVersionThatRunsAlreadyHasRebootedTheDevice() {
        for step in everyStep {
            for (boot, runs) in [("new", true), ("new", false), ("old", true)] {
                var record = Self.record(step)
                record.resume(bootID: boot, runsVersion: runs)
                let isNew = boot == "new" && runs && step != .prepare && step != .module(.download)
                #expect(record.hasRebooted == (isNew || boot == "new" && step == .reboot), "\(step) \(boot) \(runs)")
            }
        }
    }

    // MARK: stops

    @Test func theTenthStopIsTheLastThatIsNotCounted() {
        var record = Self.record(.module(.install))
        for number in 1...InstallRecord.maximumStops {
            record.stop(inTheMiddle: number % 2 == 0)
            #expect(
                record.wasStopped == true && record.wasEnded == (number % 2 == 0 ? true : nil) && record.stops == number
            )
            (record.wasStopped, record.wasEnded) = (nil, nil)
        }
        for _ in 1...3 {
            record.stop(inTheMiddle: true)
            #expect(record.wasStopped == nil && record.wasEnded == nil)
            #expect(record.stops == InstallRecord.maximumStops + 1)
        }
    }

    /// Only what may have changed a part of the device is begun anew.
    @Test func aStepThatWasEndedInTheMiddleIsRepeatedIfItCanBe() {
        for step in everyStep where step != .module(.download) && step != .module(.install) {
            var record = Self.record(step)
            record.stop(inTheMiddle: true)
            record.resume(bootID: "old")
            #expect(record.step == step && record.failure == nil && record.wasEnded == nil, "\(step)")
        }
        var download = Self.record(.module(.download))
        download.stop(inTheMiddle: true)
        download.resume(bootID: "old")
        #expect(download.step == .module(.cleanup) && download.isExcused == true && download.failureCode == .stopped)
        var install = Self.record(.module(.install))
        install.stop(inTheMiddle: true)
        install.resume(bootID: "old")
        #expect(install.step == .askSupportsRollback && install.isExcused == true && install.failureCode == .stopped)
        #expect(install.returnsTo == .module(.install))
    }
}
