import Testing
import UpdateCore

@Suite struct OfferTests {
    private let checkRequest = CheckRequest(urlKey: "device", versionCode: 5)

    private func fields(
        urlKey: String = "device", code: Int = 6, url: String = "https://files.example/6", type: Int = 2,
        text: String = ""
    ) -> OfferFields {
        OfferFields(
            urlKey: urlKey, versionName: "v\(code)", versionCode: code, urlPath: url, upgradeType: type,
            promptUpgradeContent: text)
    }

    private func refusal(_ fields: OfferFields, _ checkRequest: CheckRequest) -> OfferRefusal? {
        do throws(OfferRefusal) {
            _ = try Offer(fields, respondingTo: checkRequest)
            return nil
        } catch {
            return error
        }
    }

    @Test func aNewerVersionIsAccepted() {
        #expect(refusal(fields(), checkRequest) == nil)
    }

    @Test(arguments: [5, 4, 1])
    func theSameOrAnOlderVersionIsRefused(code: Int) {
        #expect(refusal(fields(code: code), checkRequest) == .notNewer(offered: code, installed: 5))
    }

    @Test(arguments: [5, 4])
    func aPinnedVersionIsAcceptedEvenIfItIsNotNewer(code: Int) {
        var checkRequest = checkRequest
        checkRequest.appointVersionCode = code
        #expect(refusal(fields(code: code), checkRequest) == nil)
    }

    @Test func anotherApplicationsOfferIsRefused() {
        #expect(refusal(fields(urlKey: "other"), checkRequest) == .foreignUrlKey(found: "other", expected: "device"))
    }

    @Test(arguments: [0, -3])
    func aVersionCodeMustBePositive(code: Int) {
        #expect(refusal(fields(code: code), checkRequest) == .invalidVersionCode(code))
    }

    @Test(
        arguments: [
            "", "ftp://x/y", "file:///etc/passwd", "//host/x", "https://", "http:///x", "javascript:alert(1)",
            "http://a b/",
            "http://host/\u{1B}[2J", "https:/host/x", "http://user@/x", "/relative",
        ])
    func aURLThatIsNotHTTPIsRefused(url: String) {
        #expect(refusal(fields(url: url), checkRequest) == .unusableURL(url.sanitized(limit: 200)))
    }

    @Test(arguments: ["http://host", "HTTPS://Host:8080/a?b=c#d", "http://[::1]:80/x", "https://user:pass@host/x"])
    func httpURLsAreAccepted(url: String) {
        #expect(refusal(fields(url: url), checkRequest) == nil)
    }

    @Test func theShownTextLosesControlCharacters() throws {
        let text = "a\u{1B}[31mb\nc\u{202E}d\u{0}e\u{9B}f  "
        let offer = try Offer(fields(text: text), respondingTo: checkRequest)
        #expect(offer.promptUpgradeContent == "a [31mb cd e f")
        #expect("日本語 👨‍👩‍👧 é".sanitized(limit: 50) == "日本語 👨‍👩‍👧 é")
        let long = try Offer(fields(text: String(repeating: "x", count: 100_000)), respondingTo: checkRequest)
        #expect(long.promptUpgradeContent.count == 4096)
    }

    @Test func aPercentageAtTheStartOfALineIsFound() {
        for (line, percentage) in [(" 90% Copying image", 90), ("42 % half", 42), ("100%", 100)] {
            #expect(line.leadingPercentage == percentage)
        }
        for line in ["", "%", "90", "400 %", "about 90 %", "-1 %"] { #expect(line.leadingPercentage == nil) }
    }

    @Test func upgradeTypesFollowTheContract() {
        #expect(
            [0, 1, 2, 3, 9].map { UpgradeType(code: $0) } == [.unknown(0), .prompt, .silent, .forced, .unknown(9)])
    }
}
