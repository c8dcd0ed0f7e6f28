import FoundationEssentials
import Host
import Testing
import UpdateCore

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
}
