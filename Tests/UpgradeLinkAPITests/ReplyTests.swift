import Testing
import UpdateCore
import UpgradeLinkAPI

@Suite struct ReplyTests {
    private let checkRequest = CheckRequest(urlKey: "k", versionCode: 1)
    private let decoder = ReplyDecoder(now: WallTime(unixSeconds: 784_111_777))

    private func response(_ status: Int, _ body: String, _ headers: [String: String] = [:]) -> CheckResponse {
        decoder.response(HTTPReply(status: status, headers: headers, body: Array(body.utf8)), to: checkRequest)
    }

    private func line(_ response: CheckResponse) -> String {
        switch response {
        case .offer(let offer): "offer \(offer.versionCode)"
        case .refusedOffer(let refusal): "refused: \(refusal)"
        case .latest: "latest"
        case .misconfigured(let misconfiguration): misconfiguration.line
        case .transientError(let transientError): transientError.line
        }
    }

    private func offerBody(_ changes: [String: String] = [:], drop: String? = nil) -> String {
        var fields = [
            "urlKey": "\"k\"", "versionName": "\"v2\"", "versionCode": "2", "urlPath": "\"http://h/f\"",
            "upgradeType": "2", "promptUpgradeContent": "\"text\"",
        ]
        fields.merge(changes) { $1 }
        if let drop { fields[drop] = nil }
        let data = fields.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
        return #"{"code":200,"msg":"成功","docs":"","data":{"# + data + "}}"
    }

    // MARK: the contract's table of responses

    @Test func latest() {
        let zeros =
            #"{"urlKey":"","versionName":"","versionCode":0,"urlPath":"","upgradeType":0,"promptUpgradeContent":""}"#
        for data in [#","data":"# + zeros, #","data":null"#, ""] {
            #expect(response(200, #"{"code":0,"msg":"当前已是最新版本","docs":"""# + data + "}") == .latest)
        }
    }

    @Test func offer() {
        guard case .offer(let offer) = response(200, offerBody()) else {
            Issue.record("no offer")
            return
        }
        #expect(offer.versionCode == 2 && offer.upgradeType == .silent && offer.urlPath == "http://h/f")
    }

    @Test(arguments: [
        400_001, 400_002, 400_003, 400_004, 400_005, 401_001, 401_002, 404_001, 404_002, 404_003, 404_004,
    ])
    func misconfigurationCodes(code: Int) {
        let response = response(code / 1000, #"{"code":\#(code),"msg":"错误","docs":"","traceId":"abc"}"#)
        #expect(
            response == .misconfigured(Misconfiguration(status: code / 1000, code: code, message: "错误", traceID: "abc"))
        )
        #expect(line(response).contains("traceId abc"))
    }

    @Test func throttlingAndServerErrors() {
        #expect(response(429, #"{"code":429001,"msg":""}"#) == .transientError(.rateLimited(retryAfter: nil)))
        guard case .transientError(.server(500, _, nil)) = response(500, #"{"code":500002,"msg":""}"#) else {
            Issue.record("500002 is a server error")
            return
        }
    }

    @Test func anUnknownCodeIsClassifiedByItsFirstThreeDigits() {
        #expect(response(200, #"{"code":429123,"msg":""}"#) == .transientError(.rateLimited(retryAfter: nil)))
        guard case .transientError(.server(599, _, _)) = response(200, #"{"code":599999,"msg":""}"#) else {
            Issue.record("599999 is a server error")
            return
        }
        guard case .misconfigured = response(200, #"{"code":403001,"msg":""}"#) else {
            Issue.record("403001 is a misconfiguration")
            return
        }
        #expect(response(200, #"{"code":7,"msg":""}"#) == .transientError(.unreadable("code 7 is not in the contract")))
    }

    @Test(arguments: [
        "<html><h1>Bad Gateway</h1></html>", "", "null", "[1]", "{}", #"{"code":"200"}"#, #"{"message":"x"}"#,
        "{\"code\":", "\u{0}",
    ])
    func anUnreadableBodyIsClassifiedByTheStatus(body: String) {
        for status in [429, 502, 503, 504] {
            guard case .transientError(let transientError) = response(status, body) else {
                Issue.record("\(status) is a transient error")
                return
            }
            #expect(status != 429 || transientError == .rateLimited(retryAfter: nil))
        }
        guard case .transientError(.unreadable) = response(200, body) else {
            Issue.record("an unreadable body with HTTP 200 is a transient error")
            return
        }
        for status in [400, 401, 403, 404] {
            guard case .misconfigured = response(status, body) else {
                Issue.record("\(status) is a misconfiguration")
                return
            }
        }
    }

    @Test func anOfferNeedsTheStatus200() {
        guard case .transientError(.server(503, _, _)) = response(503, offerBody()) else {
            Issue.record("an offer with HTTP 503 is a server error")
            return
        }
    }

    @Test func aRedirectIsReported() {
        #expect(line(response(302, "", ["location": "https://elsewhere/"])).contains("set server.url"))
    }

    @Test(
        arguments: [
            ("versionCode", "\"2\"", "data.versionCode is the text \"2\", not a whole number"),
            ("versionCode", "2.5", "data.versionCode is the number 2.5, not a whole number"),
            ("versionCode", "1e300", "data.versionCode is the number 1e+300, not a whole number"),
            ("versionCode", "null", "data.versionCode is null, not a whole number"),
            ("urlKey", "7", "data.urlKey is the number 7, not a string"),
            ("urlKey", "\"other\"", "the offer is for urlKey \"other\", this device requested \"k\""),
            ("urlPath", "null", "data.urlPath is null, not a string"),
            (
                "urlPath", "\"ftp://h/f\"",
                "the offered urlPath is unusable: it does not begin with http:// or https:// (\"ftp://h/f\")"
            ),
            ("upgradeType", "true", "data.upgradeType is a truth value, not a whole number"),
            ("versionName", "[]", "data.versionName is a list, not a string"),
            ("promptUpgradeContent", "{}", "data.promptUpgradeContent is an object, not a string"),
            ("versionCode", "1", "the offered versionCode 1 is not above the installed 1"),
        ])
    func anInvalidOfferIsRefusedWithTheReason(field: String, value: String, line expected: String) {
        #expect(line(response(200, offerBody([field: value]))).contains(expected))
    }

    /// A double has 53 bits: 2^53 + 1 must not become 2^53.
    @Test(
        arguments: [
            ("9007199254740993", 9_007_199_254_740_993), ("9223372036854775807", Int.max), ("2.0", 2), ("2e0", 2),
        ])
    func aLargeVersionCodeIsExact(text: String, code: Int) {
        guard case .offer(let offer) = response(200, offerBody(["versionCode": text])) else {
            Issue.record("\(line(response(200, offerBody(["versionCode": text]))))")
            return
        }
        #expect(offer.versionCode == code)
    }

    @Test(arguments: ["9223372036854775808", "9007199254740993.5", "1e19", "90071992547409935e-1"])
    func aVersionCodeThatIsNotExactIsRefused(text: String) {
        #expect(line(response(200, offerBody(["versionCode": text]))).contains("not a whole number"))
    }

    @Test func aByteOrderMarkIsSkipped() {
        var reply = HTTPReply(status: 200)
        reply.body = [0xEF, 0xBB, 0xBF] + Array("{\"code\":0}".utf8)
        #expect(ReplyDecoder(now: WallTime(unixSeconds: 0)).response(reply, to: checkRequest) == .latest)
    }

    @Test(
        arguments: [
            (
                ["content-encoding": "gzip"], [UInt8](arrayLiteral: 0x1F, 0x8B, 8),
                "a compressed body (Content-Encoding: gzip)"
            ),
            ([:], [0x1F, 0x8B, 8], "a compressed body (gzip)"),
        ])
    func aCompressedReplyIsNamed(headers: [String: String], body: [UInt8], says: String) {
        var reply = HTTPReply(status: 200, headers: headers)
        reply.body = body
        #expect(line(ReplyDecoder(now: WallTime(unixSeconds: 0)).response(reply, to: checkRequest)).contains(says))
    }

    @Test(arguments: ["urlKey", "versionCode", "urlPath"])
    func aMissingFieldIsNamed(field: String) {
        #expect(line(response(200, offerBody(drop: field))).contains("data.\(field) is missing"))
    }

    @Test(arguments: ["versionName", "upgradeType", "promptUpgradeContent"])
    func optionalFieldsMayBeMissing(field: String) {
        guard case .offer = response(200, offerBody(drop: field)) else {
            Issue.record("\(field) is optional")
            return
        }
    }

    @Test(arguments: ["null", "[]", "7", "\"x\""])
    func anOfferWithoutDataIsUnreadable(data: String) {
        #expect(
            response(200, #"{"code":200,"data":\#(data)}"#) == .transientError(.unreadable("code 200 without data")))
    }

    @Test func deepNestingIsUnreadable() {
        let deep = String(repeating: "[", count: 100_000)
        guard case .transientError(.unreadable) = response(200, #"{"code":200,"data":"# + deep) else {
            Issue.record("not unreadable")
            return
        }
    }

    @Test func retryAfterIsReadInBothForms() {
        #expect(response(429, "", ["retry-after": "120"]) == .transientError(.rateLimited(retryAfter: 120)))
        #expect(
            response(
                429, "", ["retry-after": "Sun, 06 Nov 1994 08:51:37 GMT", "date": "Sun, 06 Nov 1994 08:49:37 GMT"])
                == .transientError(.rateLimited(retryAfter: 120)))
        #expect(
            response(429, "", ["retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"])
                == .transientError(.rateLimited(retryAfter: 60)))
        #expect(response(429, "", ["retry-after": "soon"]) == .transientError(.rateLimited(retryAfter: nil)))
    }

    @Test func onlyA401WithAnotherTimeCorrectsTheClock() {
        let date = ["date": "Sun, 06 Nov 1994 08:49:37 GMT"]
        let time = WallTime(unixSeconds: 784_111_777)
        func correction(_ status: Int, _ off: Seconds) -> WallTime? {
            clockCorrection(HTTPReply(status: status, headers: date), signedAt: time + off)
        }
        #expect(correction(401, 61) == time)
        #expect(correction(401, -1e9) == time)
        #expect(correction(401, 60) == nil)
        #expect(correction(403, 1e6) == nil)
        #expect(clockCorrection(HTTPReply(status: 401), signedAt: time) == nil)
    }

    @Test func reports() {
        func delivery(_ status: Int, _ body: String) -> Delivery {
            decoder.delivery(HTTPReply(status: status, body: Array(body.utf8)))
        }
        #expect(delivery(200, #"{"code":0}"#) == .delivered)
        guard case .transientError = delivery(500, #"{"code":500001}"#) else {
            Issue.record("500 is a transient error")
            return
        }
        guard case .refused = delivery(401, #"{"code":401002}"#) else {
            Issue.record("401 is a refusal")
            return
        }
    }
}

@Suite struct HTTPDateTests {
    @Test(arguments: ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
    func theThreeFormsAreRead(text: String) {
        #expect(HTTPDate.parse(text)?.unixSeconds == 784_111_777)
    }

    @Test func leapDaysLeapSecondsAndTheEpochAreRead() {
        #expect(HTTPDate.parse("Thu, 29 Feb 2024 23:59:60 GMT")?.unixSeconds == 1_709_251_200)
        #expect(HTTPDate.parse("Thu, 01 Jan 1970 00:00:00 GMT")?.unixSeconds == 0)
    }

    @Test(
        arguments: [
            "", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT", String(repeating: "9", count: 10_000),
        ])
    func anInvalidDateIsRefused(text: String) {
        #expect(HTTPDate.parse(text) == nil)
    }

    @Test(
        arguments: [
            ("Tue, 19 Jan 2038 03:14:07 GMT", 2_147_483_647), ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            ("Tuesday, 19-Jan-38 03:14:08 GMT", 2_147_483_648), ("Sun Jan  1 00:00:00 2040", 2_208_988_800),
            ("Fri, 01 Jan 2100 00:00:00 GMT", 4_102_444_800), ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799), ("Mon, 01 Jan 1601 00:00:00 GMT", -11_644_473_600),
        ] as [(String, Seconds)])
    func datesOfAllCenturiesAreRead(text: String, unixSeconds: Seconds) {
        #expect(HTTPDate.parse(text)?.unixSeconds == unixSeconds)
    }

    @Test func aRetryAfterMayBeADateAfter2038() {
        let now = WallTime(unixSeconds: 2_208_988_800)
        #expect(HTTPDate.parseRetryAfter("Sun, 01 Jan 2040 01:00:00 GMT", now: now) == 3600)
        #expect(HTTPDate.parseRetryAfter("Tue, 19 Jan 2038 03:14:07 GMT", now: now) == 0)
        #expect(HTTPDate.parseRetryAfter("Fri, 31 Dec 9999 23:59:59 GMT", now: now) == 1e9)
        #expect(HTTPDate.parseRetryAfter("4294967296", now: now) == 1e9)
    }

    @Test(
        arguments: [
            (2_147_483_648, "2038-01-19T03:14:08Z"), (2_208_988_800, "2040-01-01T00:00:00Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
            (1e12, "9999-12-31T23:59:59Z"),
        ] as [(Seconds, String)])
    func requestsAndReportsHaveTheTime(unixSeconds: Seconds, text: String) {
        #expect(rfc3339(WallTime(unixSeconds: unixSeconds)) == text)
    }

    @Test func aHugeRetryAfterIsBounded() {
        for count in [50, 400] {
            #expect(
                HTTPDate.parseRetryAfter(String(repeating: "9", count: count), now: WallTime(unixSeconds: 0)) == 1e9)
        }
        #expect(HTTPDate.parseRetryAfter("-5", now: WallTime(unixSeconds: 0)) == nil)
    }
}
