import FoundationEssentials
import Host
import Testing

@testable import UpdateCore

/// What another process sends, or a file has, gets the limits of the initialisers: no decoder is a way around them.
@Suite struct DecodingLimitTests {
    private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONLine.decode(type, from: Array(text.utf8))
    }

    @Test func anInhibitorsTextsAreCut() throws {
        let long = String(repeating: "x\\u0007", count: 1000)
        let inhibitor = try decode(Inhibitor.self, #"{"what":["install"],"who":"\#(long)","why":"\#(long)"}"#)
        #expect(inhibitor == Inhibitor(what: [.install], who: inhibitor.who, why: inhibitor.why))
        #expect(inhibitor.who.count <= 64 && inhibitor.why.count <= 200)
        #expect(!inhibitor.who.contains("\u{7}"))
    }

    @Test(arguments: [
        #"{"days":[7],"start":0,"length":1}"#, #"{"days":[0],"start":1440,"length":1}"#,
        #"{"days":[0],"start":0,"length":0}"#, #"{"days":[0],"start":-1,"length":1}"#,
        #"{"days":[0],"start":0,"length":9223372036854775807}"#,
    ])
    func anImpossibleWindowIsNotRead(text: String) {
        #expect(throws: DecodingError.self) { try decode(MaintenanceWindow.self, text) }
    }

    @Test func aWindowIsReadAsItWasWritten() throws {
        let window = try #require(MaintenanceWindow("Sat,Sun 23:00-06:00"))
        #expect(try JSONLine.decode(MaintenanceWindow.self, from: JSONLine.encode(window)) == window)
        #expect(try decode(TimeZoneOffsets.self, #"{"segments":[]}"#) == .utc)
    }

    @Test func anOffersTextsAreCut() throws {
        let long = String(repeating: "/\\u001b", count: 10_000)
        let offer = try decode(
            Offer.self,
            #"{"urlKey":"k","versionCode":2,"urlPath":"http://h/f","versionName":"\#(long)","promptUpgradeContent":"\#(long)"}"#
        )
        #expect(offer.versionName.count <= 128 && offer.promptUpgradeContent.count <= 4096)
        #expect(!offer.promptUpgradeContent.contains("\u{1B}"))
    }

    @Test(arguments: [
        #"{"urlKey":"k","versionCode":0,"urlPath":"http://h/f"}"#,
        #"{"urlKey":"k","versionCode":2,"urlPath":"ftp://h/f"}"#,
        #"{"urlKey":"k","versionCode":2,"urlPath":"file:///x\u001b[2J"}"#,
        #"{"urlKey":"\#(String(repeating: "k", count: 5000))","versionCode":2,"urlPath":"http://h/f"}"#,
    ])
    func anImpossibleOfferIsNotRead(text: String) {
        #expect(throws: DecodingError.self) { try decode(Offer.self, text) }
    }

    // MARK: numbers

    @Test(arguments: ["1e300", "-1e300", "9223372036854775807", "1e12", "-9223372036854775808"])
    func aTimeIsBounded(number: String) throws {
        let time = try decode(WallTime.self, #"{"unixSeconds":\#(number)}"#)
        #expect(abs(time.unixSeconds) == 1e12)
        #expect(time.wholeSeconds == (number.hasPrefix("-") ? 0 : 1_000_000_000_000))
        let clock = try decode(ServerClock.self, #"{"bootID":"b","atBoot":\#(number)}"#)
        #expect(abs(clock.atBoot) == 1e12)
        let report = try decode(
            CheckReport.self,
            #"{"response":{"latest":{}},"serverClock":{"bootID":"b","atBoot":\#(number)},"serverTime":{"unixSeconds":\#(number)}}"#
        )
        #expect(report.serverClock == clock && report.serverTime == time)
    }

    @Test func aTimeIsReadAsItWasWritten() throws {
        for seconds in [0, 1_800_000_000.25, -1.5] {
            let time = WallTime(unixSeconds: seconds)
            #expect(try JSONLine.decode(WallTime.self, from: JSONLine.encode(time)) == time)
            let clock = ServerClock(bootID: "b", atBoot: seconds)
            #expect(try JSONLine.decode(ServerClock.self, from: JSONLine.encode(clock)) == clock)
        }
    }

    @Test func everyNumberHasAWholePart() {
        for number in [Double.nan, .infinity, -.infinity, 1e300, -1e300, .greatestFiniteMagnitude] {
            #expect(abs(Int64(cut: number)) <= 1 << 53)
            #expect(WallTime(unixSeconds: number).wholeSeconds >= 0)
            _ = describe(number)
        }
        #expect(Int64(cut: 2.9) == 2 && Int64(cut: -2.1) == -3 && Int64(cut: 4_102_444_800) == 4_102_444_800)
    }

    /// A worker that was taken over can report any number.
    @Test func theProgressOfADownloadIsBounded() throws {
        let highest = ByteCount.max
        let progress = try decode(
            DownloadProgress.self, #"{"received":\#(highest),"total":\#(highest),"rate":\#(highest)}"#)
        #expect(progress == DownloadProgress(received: highest, total: highest, rate: highest))
        #expect(progress.received.multipliedReportingOverflow(by: 100).overflow == false)
        var world = World()
        world.start()
        world.poll()
        world.respond(.offer(World.offer(2)))
        #expect(statusText(world.state, world.context, progress: progress).contains("100 % of "))
        let negative = try decode(DownloadProgress.self, #"{"received":-1,"total":-5,"rate":-9}"#)
        #expect(negative == DownloadProgress(received: 0, total: 0, rate: 0))
    }

    @Test func theReportsKeepTheirOrder() throws {
        let entry =
            #"{"id":\#(Int.max),"report":{"kind":{"appStart":{"versionCode":1}},"time":{"unixSeconds":1}},"tries":0}"#
        var queue = try decode(ReportQueue.self, #"{"entries":[\#(entry)],"nextID":\#(Int.max)}"#)
        #expect(queue.isEmpty)
        let report = Report(kind: .appStart(versionCode: 1), time: WallTime(unixSeconds: 1))
        queue.add(report)
        queue.add(report)
        #expect(queue.entries.count == 1)
        #expect(try JSONLine.decode(ReportQueue.self, from: JSONLine.encode(queue)) == queue)
    }
}
