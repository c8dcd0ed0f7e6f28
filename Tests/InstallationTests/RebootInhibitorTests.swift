import Testing
import UpdateCore

@testable import Installation

@MainActor struct RebootInhibitorTests {
    private func line(_ inhibitors: String...) -> String? {
        RebootInhibitors.line(of: "{\"type\":\"a(ssssuu)\",\"data\":[[\(inhibitors.joined(separator: ","))]]}")
    }

    @Test func onlyInhibitorsThatBlockAShutdownCount() {
        #expect(line() == nil)
        #expect(line(#"["sleep","TV","x","block",0,7]"#, #"["shutdown","UPower","x","delay",0,8]"#) == nil)
        #expect(line(#"["shutdown","TV","x","block-weak",0,7]"#) == nil)
        #expect(
            line(
                #"["sleep","a","b","block",0,7]"#,
                #"["handle-power-key:shutdown:sleep","TV","recording","block",1000,9]"#)
                == "Operation inhibited by \"TV\" (9), reason is \"recording\"")
    }

    @Test(arguments: ["", "{}", "nonsense", #"{"data":[]}"#, #"{"data":[[["shutdown"]]]}"#, #"{"data":[[7]]}"#])
    func whatCannotBeReadBlocksNothing(response: String) {
        #expect(RebootInhibitors.line(of: response) == nil)
    }
}

struct RebootDelayTests {
    private func record(_ step: InstallStep, type: Int, since: Seconds?) throws -> InstallRecord {
        let fields = OfferFields(
            urlKey: "k", versionName: "v2", versionCode: 2, urlPath: "https://h/f", upgradeType: type,
            promptUpgradeContent: "")
        let offer = try Offer(fields, respondingTo: CheckRequest(urlKey: "k", versionCode: 1))
        var record = InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "b")
        record.step = step
        record.rebootRequestedSince = since
        return record
    }

    @Test func aForcedVersionAndARollbackWaitForTheLimitOnly() throws {
        let now = BootInstant(1000)
        for (step, type) in [(InstallStep.reboot, 3), (.rebootIntoRollback, 2)] {
            #expect(try record(step, type: type, since: nil).mayBeDelayed(at: now, by: 60))
            #expect(try record(step, type: type, since: 941).mayBeDelayed(at: now, by: 60))
            #expect(try !record(step, type: type, since: 940).mayBeDelayed(at: now, by: 60))
            // A moment in the future belongs to another boot.
            #expect(try !record(step, type: type, since: 1001).mayBeDelayed(at: now, by: 60))
            #expect(try !record(step, type: type, since: nil).mayBeDelayed(at: now, by: 0))
        }
    }

    /// An inhibitor that a program left behind does not delay a silent version for ever.
    @Test func aSilentVersionWaitsForDays() throws {
        let limit = InstallRecord.maximumRebootDelay
        #expect(try record(.reboot, type: 2, since: 1).mayBeDelayed(at: BootInstant(limit), by: 60))
        #expect(try !record(.reboot, type: 2, since: 1).mayBeDelayed(at: BootInstant(limit + 1), by: 60))
    }

    /// Only after a try in the usual way.
    @Test func theRebootOfARollbackIsForcedInTheEnd() throws {
        for step in [InstallStep.rebootIntoRollback, .module(.rollbackReboot), .reboot, .module(.reboot)] {
            var waiting = try record(step, type: 2, since: 1000)
            #expect(!waiting.mustBeForced(at: BootInstant(1060), after: 60))
            waiting.rebootWasTried = true
            let isRollback = step == .rebootIntoRollback || step == .module(.rollbackReboot)
            #expect(waiting.mustBeForced(at: BootInstant(1060), after: 60) == isRollback)
            #expect(!waiting.mustBeForced(at: BootInstant(1059), after: 60))
        }
    }

    @Test func theDelayEndsWithTheStep() throws {
        var delayed = try record(.reboot, type: 3, since: 5)
        delayed.go(to: .checkVersion)
        #expect(delayed.rebootRequestedSince == nil)
    }
}
