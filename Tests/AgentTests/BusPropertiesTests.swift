import Host
import Systemd
import Testing
import UpdateCore

@testable import Agent

/// The values on the bus, without a bus.
@Suite @MainActor struct BusPropertiesTests {
    private let policy = Policy(
        schedule: PollSchedule(interval: 21_600, splay: 0, backOffBase: 60, backOffCap: 3600), urlKey: "device",
        gracePeriod: 600)

    private var context: Context {
        Context(
            now: BootInstant(100), bootID: "boot", wallClock: WallTime(unixSeconds: 1_900_000_000),
            buildTime: WallTime(unixSeconds: 1_700_000_000), installed: .known(versionCode: 1, versionName: "v1"),
            policy: policy, zone: .utc, inhibitors: [], seed: 1, bootBegan: BootInstant(0), activity: nil)
    }

    private func offer(_ type: Int) throws -> Offer {
        let fields = OfferFields(
            urlKey: "device", versionName: "v2", versionCode: 2, urlPath: "http://h/v2", upgradeType: type,
            promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: "device", versionCode: 1))
    }

    private func state(_ events: Event...) -> AgentState {
        events.reduce(AgentState()) { reduce($0, $1, context).0 }
    }

    private func properties(_ state: AgentState, _ progress: DownloadProgress? = nil) -> BusProperties {
        BusProperties(state, context, status: "", hasError: false, progress: progress, speedLimit: 0)
    }

    private func value(_ name: String, _ properties: BusProperties) -> BusValue? {
        properties.fields.first { $0.0 == name }?.1
    }

    @Test func anOfferHasItsWordAndItsSize() throws {
        for (type, word) in [(1, "prompt"), (2, "silent"), (3, "forced"), (9, "unknown")] {
            #expect(try offer(type).busValue(size: 7).fields["upgradeType"]?.text == word)
        }
        let downloading = state(.started(found: nil), .checked(CheckReport(response: .offer(try offer(2)))))
        #expect(value("Offer", properties(downloading))?.fields["size"]?.number == 0)
        let progress = DownloadProgress(received: 10, total: 5000, rate: 1)
        #expect(value("Offer", properties(downloading, progress))?.fields["size"]?.number == 5000)
        #expect(value("Offer", properties(AgentState()))?.fields.isEmpty == true)
    }

    /// A user interface offers "later" if there are some.
    @Test func onlyAVersionThatWaitsForTheUserHasDeferrals() throws {
        let artifact = Artifact(path: "/staging/2.artifact", sidecarPath: nil, size: 1000)
        for (type, left) in [(1, UInt64(policy.maximumDeferrals)), (3, 0)] {
            let waiting = state(
                .started(found: nil), .checked(CheckReport(response: .offer(try offer(type)))),
                .downloaded(versionCode: 2, .verified(artifact)))
            #expect(waiting.work?.artifact != nil)
            #expect(value("DeferralsLeft", properties(waiting))?.number == left, "\(type)")
        }
    }

    @Test func theNextCheckHasNoTimeWhileOneRuns() {
        var idle = AgentState()
        idle.poll.next = BootInstant(1100)
        #expect(value("NextCheck", properties(idle)) == .uint64(1_900_001_000))
        idle.poll.isRunning = true
        #expect(value("NextCheck", properties(idle)) == .uint64(0))
    }

    /// The two clocks drift. A signal each second would tell nothing.
    @Test func aTimeThatIsComputedDiffersFromThreeSecondsOn() {
        var before = AgentState()
        before.poll.next = BootInstant(1100)
        for (seconds, isNews) in [(2.0, false), (-2, false), (3, true), (-3, true), (1000, true)] {
            var after = before
            after.poll.next = BootInstant(1100 + seconds)
            let changes = properties(after).changes(since: properties(before)).map(\.0)
            #expect(changes == (isNews ? ["NextCheck"] : []), "\(seconds)")
        }
        #expect(properties(before).changes(since: nil).count == BusProperty.allCases.count)
    }

    @Test func anEntryOfTheHistoryHasBothTimes() throws {
        let text = """
            {"versionCode": 2, "versionName": "v2", "upgradeType": "silent", "started": {"unixSeconds": 5},
             "ended": {"unixSeconds": 9}, "bytes": 7, "result": "failed", "reason": "x"}
            """
        let fields = try JSONLine.decode(Attempt.self, from: Array(text.utf8)).busValue.fields
        #expect(fields["started"]?.number == 5 && fields["ended"]?.number == 9 && fields["bytes"]?.number == 7)
        #expect(fields["result"]?.text == "failed" && fields["reason"]?.text == "x")
    }
}
