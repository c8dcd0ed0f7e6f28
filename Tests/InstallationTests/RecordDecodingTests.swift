import FoundationEssentials
import Host
import Testing
import UpdateCore

@testable import Installation

/// Each field of an installation's record, alone.
@Suite struct RecordDecodingTests {
    private func empty() -> InstallRecord {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        return InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "b")
    }

    private func readBack(_ record: InstallRecord) throws -> InstallRecord {
        let found = try StoredFile.decode(InstallRecord.self, from: StoredFile.encode(record))
        #expect(found.unreadable.isEmpty)
        return found.value
    }

    /// A record, with one field that has this JSON.
    private func read(_ field: String, _ json: String) throws -> InstallRecord {
        var text = String(decoding: try StoredFile.encode(empty()), as: UTF8.self)
        #expect(text.removeFirst() == "{")
        // The first of two equal keys counts, or the last, depending on the decoder: the other one is renamed.
        text = text.replacing("\"\(field)\":", with: "\"other\":")
        return try StoredFile.decode(InstallRecord.self, from: Array("{\"\(field)\":\(json),\(text)".utf8)).value
    }

    @Test func everyFieldIsStored() throws {
        let changes: [(inout InstallRecord) -> Void] = [
            { $0.step = .restartUnitsForRollback }, { $0.bootID = "x" }, { $0.needsReboot = .automatic },
            { $0.hasRebooted = true }, { $0.failure = "why" }, { $0.failureCode = .moduleBusy }, { $0.isBroken = true },
            { $0.rollbackReboots = 3 }, { $0.interruptions = 11 },
            { $0.result = .rolledBack("why", code: .moduleBusy) },
            { $0.module = "m" }, { $0.attempts.countReboot(into: 5) }, { $0.floor.raise("k", to: 7) },
            { $0.isAboveFloor = false }, { $0.minVersionCode = 9 }, { $0.rebootRequestedSince = 12.5 },
            { $0.rebootWasTried = true }, { $0.countedReboots = 2 }, { $0.wasStopped = true }, { $0.wasEnded = true },
            { $0.stops = 10 }, { $0.isExcused = true }, { $0.returnsTo = .reboot },
            { $0.began = WallTime(unixSeconds: 1e9) }, { $0.agentWasEnabled = false },
        ]
        for (number, change) in changes.enumerated() {
            var record = empty()
            change(&record)
            #expect(record != empty(), "\(number)")
            #expect(try readBack(record) == record, "\(number)")
        }
        let steps: [InstallStep] =
            [
                .prepare, .askNeedsReboot, .restartUnits, .reboot, .checkVersion, .checkHealth, .askSupportsRollback,
                .askNeedsRebootForRollback, .rebootIntoRollback, .restartUnitsForRollback, .done,
            ] + ModuleState.allCases.map { .module($0) }
        for step in steps {
            var record = empty()
            record.step = step
            #expect(try readBack(record).step == step)
        }
    }

    @Test(arguments: [
        ("rollbackReboots", 3), ("interruptions", 11), ("countedReboots", 1_000_000), ("stops", 10),
    ])
    func aCountIsBounded(field: String, most: Int) throws {
        func count(_ json: String) throws -> Int {
            let record = try read(field, json)
            switch field {
            case "rollbackReboots": return record.rollbackReboots
            case "interruptions": return record.interruptions
            case "countedReboots": return record.countedReboots ?? 0
            default: return record.stops ?? 0
            }
        }
        for (json, expected) in [
            ("\(most - 1)", most - 1), ("\(most)", most), ("\(most + 1)", most), ("-1", 0), ("\"x\"", 0), ("null", 0),
        ] {
            #expect(try count(json) == expected, "\(json)")
        }
    }

    @Test func theReasonIsBounded() throws {
        let limit = InstallRecord.reasonLimit
        for (count, kept) in [(limit, limit), (limit + 1, limit)] {
            let text = String(repeating: "x", count: count)
            #expect(try read("failure", "\"\(text)\"").failure?.count == kept)
        }
        #expect(try read("failure", "\"a\\nb\"").failure == "a b")
    }

    /// A step or a result that another version has stored is read as the one that does least harm.
    @Test func anUnknownStepIsRolledBack() throws {
        let unknown = try read("step", #"{"somethingNew":{}}"#)
        #expect(unknown.step == .askSupportsRollback && unknown.failureCode == .unknown && unknown.result == nil)
        #expect(unknown.failure == "another version of upgradelinkd stored a step that this one does not know")
        var failed = empty()
        (failed.failure, failed.failureCode) = ("why", .versionMismatch)
        let text = String(decoding: try StoredFile.encode(failed), as: UTF8.self)
            .replacing(#""step":{"prepare":{}}"#, with: #""step":{"somethingNew":{}}"#)
        let rest = try StoredFile.decode(InstallRecord.self, from: Array(text.utf8)).value
        #expect(rest.step == .askSupportsRollback && rest.failure == "why" && rest.failureCode == .versionMismatch)
    }

    @Test func anUnknownResultIsAFailure() throws {
        let unknown = try read("result", #"{"somethingNew":{}}"#)
        #expect(
            unknown.result
                == .failed(
                    "another version of upgradelinkd stored a result that this one does not know", code: .unknown))
        #expect(try read("result", "null").result == nil)
        let both = try StoredFile.decode(
            InstallRecord.self, from: Array("{\"job\":\(Self.jobText()),\"step\":7,\"result\":{\"committed\":{}}}".utf8)
        )
        #expect(both.value.step == .done && both.value.result == .committed && both.value.failure == nil)
    }

    private static func jobText() throws -> String {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        let job = InstallJob(id: 1, offer: offer, sidecar: nil)
        return String(decoding: try JSONEncoder().encode(job), as: UTF8.self)
    }

    /// A record of 0.1.0, or a damaged one: what is missing has the value that does no harm.
    @Test func missingFieldsHaveSafeValues() throws {
        let text = "{\"job\":\(try Self.jobText()),\"step\":{\"checkHealth\":{}}}"
        let record = try StoredFile.decode(InstallRecord.self, from: Array(text.utf8)).value
        var expected = empty()
        (expected.step, expected.bootID) = (.checkHealth, "")
        #expect(record == expected && record.isAboveFloor && !record.hasRebooted && !record.isBroken)
        #expect(throws: DecodingError.self) { try StoredFile.decode(InstallRecord.self, from: Array("{}".utf8)) }
    }

    @Test func aLostRecordBeginsWithTheRollback() {
        let record = InstallRecord(recovering: empty().job, module: "m", bootID: "x")
        #expect(record.step == .askSupportsRollback && record.hasRebooted && record.failureCode == .recordLost)
        #expect(record.module == "m" && record.bootID == "x" && record.result == nil && !record.isBroken)
        #expect(record.failure == "the record of its installation could not be read")
    }
}
