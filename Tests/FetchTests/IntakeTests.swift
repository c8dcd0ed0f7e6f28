import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Fetch

/// What one response means for a partial file: each of its parts wrong alone.
@Suite struct IntakeTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A partial file, the job that it belongs to, and what a response made of it.
    private final class Scene {
        let part: PartialFile
        let intake: Intake
        let traffic = Traffic()

        init(
            _ part: PartialFile, isVerified: Bool = true, requestsRange: Bool = true, sizeLimit: ByteCount = 1 << 20
        ) throws {
            self.part = part
            let url = try #require(WebURL("http://h/f"))
            let fields = OfferFields(
                urlKey: "k", versionName: "v2", versionCode: 2, urlPath: url.text, upgradeType: 2,
                promptUpgradeContent: "")
            let job = DownloadJob(
                offer: try Offer(fields, respondingTo: CheckRequest(urlKey: "k", versionCode: 1)), devModelKey: nil,
                connection: ServerConnection(url: url.text, connectTimeout: 1, requestTimeout: 1), directory: "/",
                speedLimit: 0, sizeLimit: sizeLimit, keepFree: 0, lowSpeed: 0, lowSpeedTime: 0,
                verification: VerificationPolicy(mode: .none, keys: [], sidecarURL: "", requireVersionCode: false),
                priority: DownloadPriority(ioClass: .idle, nice: 0, flushEvery: 0, keepCache: 0))
            final class Events {
                var restarts = 0
                var bytes: [UInt8] = []
            }
            let events = Events()
            self.events = { (events.restarts, events.bytes) }
            intake = Intake(
                job, url: url, part, traffic, isVerified: isVerified,
                onBytes: { part in part.withUnsafeBytes { events.bytes.append(contentsOf: $0) } },
                onRestart: {
                    events.restarts += 1
                    events.bytes = []
                })
            intake.requestsRange = requestsRange
        }

        private let events: () -> (Int, [UInt8])

        /// What the download does after this head: the name of the verdict, with the reason of a failure.
        func head(_ status: Int, _ headers: [String: String] = [:]) -> String {
            var reply = HTTPReply(status: status, headers: headers)
            reply.version = "HTTP/1.1"
            _ = intake.head(reply)
            return verdict
        }

        func body(_ bytes: [UInt8]) -> Bool { intake.body(bytes.span.bytes) }

        func finish() -> String {
            intake.finish()
            return verdict
        }

        var passedOn: [UInt8] { events().1 }
        var hasRestarted: Bool { events().0 > 0 }

        var verdict: String {
            switch intake.verdict {
            case .takeBody: "body"
            case .redirect: "redirect"
            case .complete: "complete"
            case .rest: "rest"
            case .whole: "whole"
            case .fail(.status): "status"
            case .fail(.refused(let text)), .fail(.noSpace(let text)): text
            case .fail(.transientError(let error)): error.line
            case .fail(.cancelled): "cancelled"
            }
        }
    }

    /// A thousand bytes of a file.
    private func part(
        total: ByteCount? = 3000, validator: String? = "\"v\"", isVerified: Bool = true
    ) throws -> PartialFile {
        PartialFile.discard("\(scratch.path)/2.part")
        let part = try PartialFile("\(scratch.path)/2.part", url: "http://h/f", isVerified: isVerified)
        try part.begin(.init(url: "http://h/f", validator: validator, total: total))
        try part.append([UInt8](repeating: 1, count: 1000).span.bytes)
        return part
    }

    // MARK: Content-Range

    @Test(arguments: [
        // The first byte: the next one, one that is there already, and one behind a gap.
        ("bytes 1000-2999/3000", "body"), ("bytes 999-2999/3000", "body"), ("bytes 0-2999/3000", "body"),
        ("bytes 1001-2999/3000", "whole"), ("bytes 2999-2999/3000", "whole"),
        // The total.
        ("bytes 1000-2999/3001", "whole"), ("bytes 1000-2998/2999", "whole"), ("bytes 1000-2999/*", "body"),
        ("bytes 0-998/999", "whole"),
        // The last byte: a server may send less than was requested, and none of it is behind the end.
        ("bytes 1000-1999/3000", "body"), ("bytes 1000-3000/3000", "whole"), ("bytes 1000-999/3000", "whole"),
        // The unit.
        ("items 1000-2999/3000", "whole"), ("1000-2999/3000", "whole"), ("bytes */3000", "whole"),
    ])
    func eachNumberOfAContentRangeIsCompared(range: String, verdict: String) throws {
        let scene = try Scene(try part())
        #expect(scene.head(206, ["content-range": range]) == verdict)
    }

    @Test func aRangeWithoutContentRangeIsRequestedAsTheWholeFile() throws {
        #expect(try Scene(try part()).head(206, ["content-length": "2000"]) == "whole")
        let whole = try Scene(try part(), requestsRange: false)
        #expect(whole.head(206).contains("HTTP 206 without a usable Content-Range"), "\(whole.verdict)")
    }

    /// Its size was not known before.
    @Test(arguments: [
        ("bytes 1000-2999/3000", "body"), ("bytes 0-999/1000", "body"), ("bytes 0-998/999", "whole"),
        ("bytes 1000-1999/*", "body"),
    ])
    func aFirstTotalMayBeAnyThatIsNotTooSmall(range: String, verdict: String) throws {
        #expect(try Scene(try part(total: nil)).head(206, ["content-range": range]) == verdict)
    }

    /// Without verification, a range must begin at the next byte and be of the same file.
    @Test(arguments: [
        ("bytes 1000-2999/3000", "\"v\"", "body"), ("bytes 1000-2999/3000", nil, "body"),
        ("bytes 1000-2999/3000", "\"w\"", "whole"), ("bytes 999-2999/3000", "\"v\"", "whole"),
        ("bytes 0-2999/3000", "\"v\"", "whole"),
    ])
    func aFileThatIsNotVerifiedIsContinuedExactly(range: String, tag: String?, verdict: String) throws {
        let scene = try Scene(try part(isVerified: false), isVerified: false)
        #expect(scene.head(206, ["content-range": range, "etag": tag].compactMapValues { $0 }) == verdict)
    }

    // MARK: 416

    @Test func aRangeBehindTheEndCompletesOnlyAVerifiedFileOfThatSize() throws {
        #expect(try Scene(try part()).head(416, ["content-range": "bytes */1000"]) == "complete")
        #expect(try Scene(try part()).head(416) == "complete")
        for total in ["999", "1001"] {
            #expect(try Scene(try part()).head(416, ["content-range": "bytes */\(total)"]) == "whole")
        }
        let open = try Scene(try part(isVerified: false), isVerified: false)
        #expect(open.head(416, ["content-range": "bytes */1000"]) == "whole")
        #expect(open.head(416) == "whole")
        #expect(try Scene(try part(), requestsRange: false).head(416, ["content-range": "bytes */1000"]) == "status")
    }

    // MARK: sizes

    @Test func aFileOfExactlyTheLimitIsTaken() throws {
        for (status, headers) in [(206, ["content-range": "bytes 1000-2999/3000"]), (200, ["content-length": "3000"])] {
            #expect(try Scene(try part(), sizeLimit: 3000).head(status, headers) == "body")
            let refused = try Scene(try part(), sizeLimit: 2999).head(status, headers)
            #expect(refused.contains("download.sizeLimit is"), "\(refused)")
        }
    }

    /// Without a length, the bytes are counted.
    @Test func theBytesOfAResponseWithoutALengthAreLimited() throws {
        let exact = try Scene(try part(total: nil), sizeLimit: 3000)
        #expect(exact.head(206, ["content-range": "bytes 1000-1999/*"]) == "body")
        let isWanted = exact.body([UInt8](repeating: 2, count: 1999))
        #expect(isWanted && exact.body([2]))
        #expect(exact.part.size == 3000)
        #expect(!exact.body([2]))
        #expect(exact.verdict.contains("download.sizeLimit is"), "\(exact.verdict)")
        #expect(exact.part.size == 3000 && exact.traffic.received == 2001)
    }

    @Test(arguments: [("3000", "body"), ("-1", "body"), ("x", "body"), ("0", "body")])
    func aLengthThatIsNoneIsIgnored(length: String, verdict: String) throws {
        #expect(try Scene(try part(total: nil)).head(200, ["content-length": length]) == verdict)
    }

    /// What a server sends behind the end is dropped, and the file is complete.
    @Test func nothingBehindTheKnownEndIsTaken() throws {
        let scene = try Scene(try part())
        #expect(scene.head(206, ["content-range": "bytes 1000-2999/3000"]) == "body")
        #expect(scene.body([UInt8](repeating: 2, count: 2000)))
        #expect(scene.verdict == "body")
        #expect(!scene.body([9]))
        #expect(scene.verdict == "complete" && scene.part.size == 3000)
        #expect(scene.passedOn == [UInt8](repeating: 2, count: 2000))
    }

    /// Without a length, the end is the one that was known before.
    @Test func aResponseWithoutALengthEndsAtTheKnownEnd() throws {
        let scene = try Scene(try part(), requestsRange: false)
        #expect(scene.head(200) == "body")
        #expect(!scene.body([UInt8](repeating: 1, count: 3001)))
        #expect(scene.verdict == "complete" && scene.part.size == 3000)
    }

    /// A server's own answer to a request for a range says how long the file is: another file of this length is the new one.
    @Test func aConfirmedLengthReplacesThePartAtOnce() throws {
        for (status, range) in [(416, "bytes */900"), (206, "bytes 0-899/900")] {
            let scene = try Scene(try part())
            #expect(scene.head(status, ["content-range": range]) == "whole")
            scene.intake.requestsRange = false
            #expect(scene.head(200, ["content-length": "900"]) == "body")
            #expect(scene.body([UInt8](repeating: 5, count: 900)))
            #expect(scene.finish() == "complete" && scene.part.size == 900 && scene.hasRestarted)
        }
        // One that was not confirmed is doubted.
        let other = try Scene(try part(), requestsRange: false)
        #expect(other.head(200, ["content-length": "900"]) == "body")
        #expect(!other.body([UInt8](repeating: 5, count: 900)) && other.part.size == 1000)
    }

    /// A power cut loses 32 MiB at most.
    @Test func everySoManyBytesAreSynced() throws {
        let scene = try Scene(try part(total: nil), sizeLimit: 1 << 30)
        #expect(scene.head(200) == "body")
        #expect(scene.body([UInt8](repeating: 1, count: 32 << 20)))
        #expect(scene.part.unsynced == 0 && scene.part.size == 32 << 20)
        #expect(scene.body([1]))
        #expect(scene.part.unsynced == 1)
    }

    // MARK: the body

    /// The bytes that are there already are compared, and not passed on again.
    @Test func anOverlapIsComparedAndNotAppended() throws {
        let scene = try Scene(try part())
        #expect(scene.head(206, ["content-range": "bytes 999-2999/3000"]) == "body")
        #expect(scene.body([1, 2]))
        #expect(scene.part.size == 1001 && scene.passedOn == [2] && !scene.hasRestarted)
    }

    @Test func anOverlapThatDiffersReplacesTheRest() throws {
        let scene = try Scene(try part())
        #expect(scene.head(206, ["content-range": "bytes 998-2999/3000"]) == "body")
        #expect(scene.body([1, 7, 8]))
        #expect(scene.hasRestarted && scene.part.size == 1001)
        #expect(scene.passedOn == [UInt8](repeating: 1, count: 999) + [7, 8])
    }

    /// Also one of exactly the file's length.
    @Test func aWebPageNeverReplacesAPart() throws {
        let scene = try Scene(try part(), requestsRange: false)
        #expect(scene.head(200, ["content-length": "3000", "content-type": "text/html"]) == "body")
        #expect(!scene.body(Array("<html>".utf8)))
        #expect(scene.verdict.contains("got a web page instead of the file"), "\(scene.verdict)")
        #expect(scene.part.size == 1000 && !scene.hasRestarted)
    }

    @Test(arguments: [
        (["etag": "\"a\"", "last-modified": "then"], "\"a\""), (["etag": "W/\"a\"", "last-modified": "then"], "then"),
        (["etag": "W/\"a\""], nil), (["last-modified": "then"], "then"), ([:], nil),
    ])
    func onlyAStrongValidatorIsOne(headers: [String: String], validator: String?) throws {
        let url = try #require(WebURL("http://h/f"))
        let origin = PartialFile.Origin(HTTPReply(status: 200, headers: headers), url: url, total: 5)
        #expect(origin == PartialFile.Origin(url: "http://h/f", validator: validator, total: 5))
    }

    @Test func aShortRangeIsFollowedByAnother() throws {
        let scene = try Scene(try part())
        #expect(scene.head(206, ["content-range": "bytes 1000-1999/3000", "content-length": "1000"]) == "body")
        #expect(scene.body([UInt8](repeating: 2, count: 1000)))
        #expect(scene.finish() == "rest")
        #expect(scene.part.size == 2000 && !scene.part.isComplete)
        // The same object takes the next response. It names no validator, so the earlier one stays.
        #expect(scene.head(206, ["content-range": "bytes 2000-2999/3000", "content-length": "1000"]) == "body")
        #expect(scene.body([UInt8](repeating: 3, count: 1000)))
        #expect(scene.finish() == "complete" && scene.intake.responses == 2 && scene.part.origin.validator == "\"v\"")
    }

    @Test func theLastByteCompletesTheFile() throws {
        let scene = try Scene(try part())
        #expect(scene.head(206, ["content-range": "bytes 1000-2999/3000", "content-length": "2000"]) == "body")
        #expect(scene.body([UInt8](repeating: 2, count: 2000)))
        #expect(scene.finish() == "complete")
        #expect(scene.part.isComplete && scene.intake.hasMarkedEnd && scene.intake.responses == 1)
    }

    /// The end of a range without a total need not be the end of the file.
    @Test func theEndOfARangeWithoutATotalIsNotMarked() throws {
        let scene = try Scene(try part(total: nil))
        #expect(scene.head(206, ["content-range": "bytes 1000-1999/*", "content-length": "1000"]) == "body")
        #expect(scene.body([UInt8](repeating: 2, count: 1000)))
        #expect(scene.finish() == "complete")
        #expect(!scene.intake.hasMarkedEnd && !scene.part.isComplete && scene.part.unmarkedEnd == 2000)
        // The same end once more is taken for the end.
        let again = try Scene(scene.part)
        #expect(again.head(200, [:]) == "body")
        #expect(again.body([UInt8](repeating: 1, count: 1000) + [UInt8](repeating: 2, count: 1000)))
        #expect(again.finish() == "complete" && again.intake.hasMarkedEnd)
    }

    /// Only the end of a response whose length is known says that the file has become shorter.
    @Test func aWholeFileThatEndsTooEarlyTakesNothingAway() throws {
        for headers in [[:], ["content-length": "0"]] {
            let scene = try Scene(try part(), requestsRange: false)
            #expect(scene.head(200, headers) == "body")
            if headers.isEmpty { #expect(scene.body([1, 1])) }
            #expect(scene.finish().contains("the response ended after"), "\(scene.verdict)")
            #expect(scene.part.size == 1000)
        }
    }

    @Test func aSuccessWithoutAFileIsAStatus() throws {
        for status in [201, 202, 204, 304, 400, 404, 500] { #expect(try Scene(try part()).head(status) == "status") }
        #expect(try Scene(try part()).head(203, ["content-length": "3000"]) == "body")
        #expect(try Scene(try part()).head(302, ["location": "/x"]) == "redirect")
    }

    /// The start of the body of an error says why.
    @Test func onlyTheStartOfAnErrorIsRead() throws {
        let scene = try Scene(try part())
        #expect(scene.head(403) == "status")
        #expect(scene.body([UInt8](repeating: 0x61, count: 2047)))
        #expect(!scene.body([0x62, 0x63]))
        guard case .status(let reply)? = scene.intake.failure else {
            Issue.record("\(scene.verdict)")
            return
        }
        #expect(reply.body.count == 2048 && reply.body.last == 0x62)
        #expect(scene.part.size == 1000)
    }
}
