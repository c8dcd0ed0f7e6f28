import Host
import Testing
import UpdateCore

@testable import Fetch

/// Redirects, and the names of what came instead of a file.
@Suite struct ResponseTests {
    private func url(_ text: String) throws -> WebURL { try #require(WebURL(text)) }

    private func redirect(_ location: String?, _ status: Int = 302) -> HTTPReply {
        HTTPReply(status: status, headers: ["location": location].compactMapValues { $0 })
    }

    // MARK: redirects

    @Test func tenRedirectsAreFollowedAndNoEleventh() throws {
        var trail = RedirectTrail(try url("http://h/0"))
        for number in 1...10 { try trail.follow(redirect("/\(number)")) }
        #expect(trail.url.text == "http://h/10")
        #expect(throws: DownloadFailure.self) { try trail.follow(redirect("/11")) }
    }

    @Test(arguments: [
        ("http://h/a", "https://h/b", true), ("https://h/a", "https://h/b", true), ("http://h/a", "http://h/b", true),
        ("https://h/a", "http://h/b", false), ("https://h/a", "/b", true), ("https://h/a", "//i/b", true),
        ("http://h/a", "ftp://h/b", false), ("http://h/a", nil, false), ("http://h/a", "  ", false),
        ("http://h/a", " /b ", true),
    ])
    func aRedirectIsNeverLessSecure(from: String, to: String?, isFollowed: Bool) throws {
        var trail = RedirectTrail(try url(from))
        do throws(DownloadFailure) {
            try trail.follow(redirect(to))
            #expect(isFollowed && trail.url.text != from)
        } catch {
            #expect(!isFollowed && trail.url.text == from)
        }
    }

    @Test func onlySomeStatusesAreRedirects() {
        for status in 200..<400 {
            let isRedirect = [300, 301, 302, 303, 307, 308].contains(status)
            #expect(RedirectTrail.isRedirect(redirect("/x", status)) == isRedirect, "\(status)")
        }
        #expect(!RedirectTrail.isRedirect(redirect(nil, 300)))
        #expect(RedirectTrail.isRedirect(redirect(nil, 302)))
    }

    // MARK: what came instead

    @Test(arguments: [
        ("<!DOCTYPE html>", nil, true), (" \r\n<HTML>", nil, true), ("\u{FEFF}<html>", nil, true),
        ("<head>", nil, true),
        ("<script>", nil, true), ("<meta x>", nil, true), ("<title>", nil, true), ("<body>", nil, true),
        ("<!-- x -->", nil, true), ("<?xml version=\"1.0\"?>", nil, true), ("<p>", nil, false),
        ("<p>", "text/html; charset=utf-8", true), ("<p>", "TEXT/HTML", true),
        ("<p>", "application/octet-stream", false),
        // Some servers label every file so.
        ("PK\u{3}\u{4}", "text/html", false), ("", "text/html", false), ("text <html>", nil, false),
    ])
    func aWebPageIsKnownByItsStart(start: String, type: String?, isPage: Bool) {
        let headers = ["content-type": type].compactMapValues { $0 }
        #expect(isWebPage(Array(start.utf8), headers) == isPage)
    }

    @Test func contentIsNamed() {
        #expect(describeContent([], [:], of: "file") == "got an empty file")
        #expect(describeContent([1], [:], of: "file") == nil)
        #expect(describeContent([1], ["content-encoding": "Identity"], of: "file") == nil)
        #expect(
            describeContent([1], ["content-encoding": "br"], of: "file")?.contains("(Content-Encoding: br)") == true)
        // An artifact may be a gzip file; a signature is none.
        #expect(describeContent([0x1F, 0x8B, 8], [:], of: "file") == nil)
        #expect(describeContent([0x1F, 0x8B, 8], [:], of: "signature") == "got a compressed signature")
    }

    @Test func theBeginningOfATextIsShown() {
        #expect(beginning(Array("Blocked\tby policy\n".utf8)) == "; it begins with \"Blocked by policy\"")
        for bytes in [[], [0x41, 0x08], [0x41, 0x0E], [0x41, 0x1F], [0x7F]] as [[UInt8]] {
            #expect(beginning(bytes).isEmpty)
        }
        // Only the start counts.
        #expect(!beginning([UInt8](repeating: 0x41, count: 200) + [0]).isEmpty)
        #expect(beginning([UInt8](repeating: 0x41, count: 199) + [0]).isEmpty)
    }

    @Test(arguments: [
        (401, "login"), (403, "expired"), (404, "publish"), (410, "publish"), (407, "server.proxy"),
        (511, "captive portal"), (418, "which is no file"),
    ])
    func aStatusIsNamed(status: Int, words: String) {
        let line = describeStatus(HTTPReply(status: status), of: "file")
        #expect(line.hasPrefix("HTTP \(status) for the file") && line.contains(words))
    }

    // MARK: the end of a body

    /// A body without one of these looks whole if the connection was cut (RFC 9112, section 6.3).
    @Test func theEndOfABodyIsMarkedByALengthByChunksOrByFrames() {
        func isMarked(_ version: String, _ headers: [String: String]) -> Bool {
            var reply = HTTPReply(status: 200, headers: headers)
            reply.version = version
            return reply.hasMarkedEnd
        }
        #expect(!isMarked("HTTP/1.1", [:]) && !isMarked("HTTP/1.0", ["connection": "close"]))
        #expect(isMarked("HTTP/1.1", ["content-length": "0"]) && isMarked("HTTP/2", [:]))
        #expect(isMarked("HTTP/1.1", ["transfer-encoding": "gzip, Chunked"]))
        #expect(!isMarked("HTTP/1.1", ["transfer-encoding": "gzip"]))
    }

    // MARK: speed

    @Test func aPieceIsATenthOfASecond() {
        #expect(Pace.piece(of: 0) == .max)
        #expect(Pace.piece(of: 1) == 256 && Pace.piece(of: 2560) == 256 && Pace.piece(of: 2570) == 257)
        #expect(Pace.piece(of: 1_000_000) == 100_000)
    }

    @Test func bytesWaitForTheirTurn() {
        let limit = SpeedLimit(10_000)
        var pace = Pace()
        let start = Clock.bootTime
        for _ in 0..<2 { pace.wait(for: 1500, limit) { true } }
        #expect(Clock.bootTime - start >= 0.29)
        // A cancelled download waits no longer, and one without a limit does not wait.
        let second = Clock.bootTime
        pace.wait(for: 1 << 30, limit) { false }
        limit.set(0)
        pace.wait(for: 1 << 30, limit) { true }
        #expect(Clock.bootTime - second < 5)
        // The limit is removed during the wait.
        limit.set(10)
        var checks = 0
        pace.wait(for: 1 << 30, limit) {
            checks += 1
            limit.set(0)
            return checks < 20
        }
        #expect(checks == 1)
    }

    /// A download that pauses does not catch up with a burst.
    @Test func aPauseIsNotMadeUpFor() {
        let limit = SpeedLimit(10_000)
        var pace = Pace()
        pace.wait(for: 1, limit) { true }
        let start = Clock.bootTime
        pace.wait(for: 2000, limit) { true }
        #expect(Clock.bootTime - start >= 0.19)
    }

    /// With the speed of the last seconds, in which an earlier one counts less and less.
    @Test func progressIsReportedTwiceASecondAtMost() {
        let start = BootInstant(1000)
        var meter = ProgressMeter(received: 500, now: start)
        #expect(meter.update(received: 600, total: 9000, now: start + 0.4) == nil)
        let first = meter.update(received: 1500, total: 9000, now: start + 1)
        #expect(first == DownloadProgress(received: 1500, total: 9000, rate: 1000))
        #expect(meter.update(received: 1600, total: 9000, now: start + 1.4) == nil)
        let second = meter.update(received: 3500, total: 9000, now: start + 2)
        #expect(second == DownloadProgress(received: 3500, total: 9000, rate: 1300))
        // The file starts over.
        #expect((909...910).contains(meter.update(received: 0, total: 9000, now: start + 3)?.rate ?? 0))
    }

    @Test func theLastProgressIsTheWholeFile() {
        var meter = ProgressMeter(received: 100)
        #expect(meter.update(received: 1000, total: 5000) == nil)
        let last = meter.finish(received: 5000, total: 0)
        #expect(last?.received == 5000 && last?.total == 5000)
        #expect((last?.rate ?? 0) > 0)
        // The count falls when a download starts over.
        var again = ProgressMeter(received: 5000)
        #expect(again.finish(received: 10, total: 20)?.rate == 0)
    }
}
