import Testing
import UpdateCore
import UpgradeLinkAPI

/// How long the server asks to wait, and the bounds of statuses, codes and dates.
@Suite struct RetryAfterTests {
    private let checkRequest = CheckRequest(urlKey: "k", versionCode: 1)
    /// Sun, 06 Nov 1994 08:49:37 GMT
    private static let now = WallTime(unixSeconds: 784_111_777)
    private let decoder = ReplyDecoder(now: now)

    private func reply(_ status: Int, _ body: String = "", _ headers: [String: String] = [:]) -> HTTPReply {
        HTTPReply(status: status, headers: headers, body: Array(body.utf8))
    }

    /// What an update check and a report make of the same reply.
    private func errors(_ reply: HTTPReply) -> [TransientError] {
        var errors: [TransientError] = []
        if case .transientError(let error) = decoder.response(reply, to: checkRequest) { errors.append(error) }
        if case .transientError(let error) = decoder.delivery(reply) { errors.append(error) }
        return errors
    }

    @Test(arguments: [429, 500, 502, 503, 504, 599, 408, 425])
    func everyTransientStatusHasItsWait(status: Int) {
        for (value, seconds) in [
            ("120", 120), ("0", 0), ("Sun, 06 Nov 1994 08:50:37 GMT", 60), ("Sun, 06 Nov 1994 08:49:36 GMT", 0),
            ("999999999", 999_999_999), ("1000000000", 1e9), ("1000000001", 1e9), ("soon", nil), ("1.5", nil),
            ("", nil),
        ] as [(String, Seconds?)] {
            let found = errors(reply(status, "", ["retry-after": value]))
            #expect(found.map(\.retryAfter) == [seconds, seconds], "\(value)")
        }
        #expect(errors(reply(status)).map(\.retryAfter) == [nil, nil])
    }

    /// The clock of the device may be wrong: the date of the same response counts.
    @Test func aDateIsComparedWithTheServersClock() {
        let headers = ["retry-after": "Sun, 06 Nov 1994 08:51:37 GMT", "date": "Sun, 06 Nov 1994 08:51:27 GMT"]
        #expect(errors(reply(503, "", headers)).map(\.retryAfter) == [10, 10])
        let late = ["retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"]
        #expect(errors(reply(503, "", late)).map(\.retryAfter) == [1e9, 1e9])
    }

    /// A code in the body says more than the status.
    @Test(arguments: [429_001, 500_001, 503_000, 408_000, 425_999])
    func aCodeOfTheAPIHasItsWaitToo(code: Int) {
        let found = errors(reply(200, "{\"code\":\(code)}", ["retry-after": "7"]))
        #expect(found.map(\.retryAfter) == [7, 7])
    }

    // MARK: bounds of statuses and codes

    private func kind(_ reply: HTTPReply) -> String {
        switch decoder.response(reply, to: checkRequest) {
        case .latest: "latest"
        case .offer, .refusedOffer: "offer"
        case .misconfigured(let problem): "misconfigured \(problem.status)"
        case .transientError(.rateLimited): "throttled"
        case .transientError(.server(let status, _, _)): "server \(status)"
        case .transientError(.unreadable): "unreadable"
        case .transientError: "other"
        }
    }

    @Test(arguments: [
        (199, "server 199"), (200, "unreadable"), (299, "unreadable"), (300, "unreadable"), (399, "unreadable"),
        (400, "misconfigured 400"), (407, "misconfigured 407"), (408, "server 408"), (409, "misconfigured 409"),
        (424, "misconfigured 424"), (425, "server 425"), (426, "misconfigured 426"), (428, "misconfigured 428"),
        (429, "throttled"), (430, "misconfigured 430"), (499, "misconfigured 499"), (500, "server 500"),
        (600, "server 600"), (0, "server 0"),
    ])
    func eachStatusWithoutABodyHasItsMeaning(status: Int, kind: String) { #expect(self.kind(reply(status)) == kind) }

    @Test(arguments: [
        (99_999, "unreadable"), (100_000, "server 100"), (399_999, "server 399"), (400_000, "misconfigured 400"),
        (499_999, "misconfigured 499"), (500_000, "server 500"), (599_999, "server 599"), (600_000, "unreadable"),
        (1, "unreadable"), (-1, "unreadable"), (201, "unreadable"),
    ])
    func eachCodeHasItsMeaning(code: Int, kind: String) {
        #expect(self.kind(reply(200, "{\"code\":\(code)}")) == kind)
    }

    /// The page of a gateway may have any code: one that is not in the contract counts for nothing.
    @Test func aCodeOutsideOfTheContractLeavesTheStatus() {
        #expect(kind(reply(503, "{\"code\":7}")) == "server 503")
        #expect(kind(reply(404, "{\"code\":600000}")) == "misconfigured 404")
    }

    @Test(arguments: [(199, false), (200, true), (204, true), (299, true), (300, false), (404, false), (503, false)])
    func aSuccessNeedsASuccessStatus(status: Int, isSuccess: Bool) {
        #expect((kind(reply(status, "{\"code\":0}")) == "latest") == isSuccess)
        for code in [0, 200] {
            #expect((decoder.delivery(reply(status, "{\"code\":\(code)}")) == .delivered) == isSuccess, "\(code)")
        }
    }

    @Test func theClockIsCorrectedInBothDirections() {
        for (offset, isCorrected) in [(-61, true), (-60, false), (60, false), (61, true)] as [(Seconds, Bool)] {
            let found = clockCorrection(
                reply(401, "", ["date": "Sun, 06 Nov 1994 08:49:37 GMT"]), signedAt: Self.now + offset)
            #expect(found == (isCorrected ? Self.now : nil))
        }
    }

    // MARK: bounds of dates

    @Test(arguments: [
        ("Sat, 00 Jan 2000 00:00:00 GMT", false), ("Sat, 01 Jan 2000 00:00:00 GMT", true),
        ("Mon, 31 Jan 2000 23:59:60 GMT", true), ("Tue, 32 Jan 2000 00:00:00 GMT", false),
        ("Mon, 31 Jan 2000 24:00:00 GMT", false), ("Mon, 31 Jan 2000 00:60:00 GMT", false),
        ("Mon, 31 Jan 2000 00:00:61 GMT", false), ("Mon, 31 Jan 2000 00:00 GMT", false),
        ("Mon, 31 Jan 2000 00:00:00:00 GMT", false), ("Mon, 01 Jan 1601 00:00:00 GMT", true),
        ("Mon, 01 Jan 1600 00:00:00 GMT", false), ("Fri, 31 Dec 9999 00:00:00 GMT", true),
        ("Fri, 31 Dec 10000 00:00:00 GMT", false), ("Sat, 01 Jan 2000 00:00:00 UTC", false),
        ("Saturday, 01-Jan-00 00:00:00 UTC", false), ("Saturday, 01-Jan-000 00:00:00 GMT", false),
        ("Saturday, 01-Jan 00:00:00 GMT", false), ("Sat, 01 jan 2000 00:00:00 GMT", false),
    ])
    func numbersOfADateAreBounded(text: String, isDate: Bool) { #expect((HTTPDate.parse(text) != nil) == isDate) }

    @Test func twoDigitsOfAYearAreOfTheNearerCentury() {
        #expect(HTTPDate.parse("Thursday, 01-Jan-70 00:00:00 GMT")?.unixSeconds == 0)
        #expect(HTTPDate.parse("Tuesday, 01-Jan-69 00:00:00 GMT")?.unixSeconds == 3_124_224_000)
    }

    @Test func aLongTextIsNoDate() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(HTTPDate.parse(date + String(repeating: " ", count: 64 - date.utf8.count)) == Self.now)
        #expect(HTTPDate.parse(date + String(repeating: " ", count: 65 - date.utf8.count)) == nil)
    }

    /// Seconds from the start of 2001 to the start of each month.
    @Test func everyMonthIsKnown() {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var days = 0
        for (month, length) in zip(months, [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            let found = HTTPDate.parse("Mon, 01 \(month) 2001 00:00:00 GMT")?.unixSeconds
            #expect(found == 978_307_200 + Seconds(days * 86_400), "\(month)")
            days += length
        }
        #expect(HTTPDate.parse("Wed, 01 Mar 2000 00:00:00 GMT")?.unixSeconds == 951_868_800)
    }
}

/// What a signed request and a report consist of.
@Suite struct RequestFieldTests {
    private let server = ServerConnection(url: "http://x", connectTimeout: 1, requestTimeout: 1)
    private let credentials = Credentials(accessKey: "ak", secretKey: Secret("sk"))

    @Test func aRequestHasItsHeaders() {
        let signer = RequestSigner(credentials: credentials) { "digest of \(String(decoding: $0, as: UTF8.self))" }
        let request = signer.sign(path: "/p", body: Array("b".utf8), at: WallTime(unixSeconds: 1), nonce: "n")
        #expect(request.path == "/p" && request.body == Array("b".utf8))
        #expect(
            request.headers.map { "\($0.name): \($0.value)" } == [
                "Content-Type: application/json", "X-Timestamp: 1970-01-01T00:00:01Z", "X-Nonce: n", "X-AccessKey: ak",
                "X-Signature: digest of body=b&nonce=n&secretKey=sk&timestamp=1970-01-01T00:00:01Z&url=/p",
            ])
    }

    @Test func onlyWholePercentSequencesAreDecoded() {
        let signer = RequestSigner(credentials: credentials) { String(decoding: $0, as: UTF8.self) }
        func path(_ text: String) -> String {
            String(signer.signature(body: [], nonce: "", timestamp: "", path: text).split(separator: "url=")[1])
        }
        #expect(
            path("/%41%4") == "/A%4" && path("/%4z") == "/%4z" && path("/%") == "/%" && path("/%41") == "/A"
                && path("/%2541") == "/%41")
    }

    @Test func aReportNamesBothVersions() {
        func body(_ kind: Report.Kind) -> String {
            let job = ReportJob(
                server: server, credentials: credentials, serverClock: nil, urlKey: "k", devModelKey: nil, devKey: "d",
                report: Report(kind: kind, time: WallTime(unixSeconds: 60)))
            let text = String(decoding: reportBody(job), as: UTF8.self)
            return text.replacing("\"x86_64\"", with: "A").replacing("\"aarch64\"", with: "A")
        }
        let end = #""timestamp":"1970-01-01T00:01:00Z"}"#
        #expect(
            body(.download(running: 1, version: 2, code: 3))
                == #"{"appKey":"k","eventData":{"arch":A,"code":3,"devKey":"d","downloadVersionCode":2,"target":"linux","versionCode":1},"eventType":"app_upgrade_download","#
                + end)
        #expect(
            body(.upgrade(running: 1, version: 2, code: 3))
                == #"{"appKey":"k","eventData":{"arch":A,"code":3,"devKey":"d","target":"linux","upgradeVersionCode":2,"versionCode":1},"eventType":"app_upgrade_upgrade","#
                + end)
    }

    @Test func aRequestHasAllFieldsOfTheDevice() {
        let body = upgradeBody(
            CheckRequest(urlKey: "k", versionCode: 3, appointVersionCode: 2, devModelKey: "m", devKey: "d"))
        #expect(
            String(decoding: body, as: UTF8.self)
                == #"{"appointVersionCode":2,"devKey":"d","devModelKey":"m","urlKey":"k","versionCode":3}"#)
    }
}
