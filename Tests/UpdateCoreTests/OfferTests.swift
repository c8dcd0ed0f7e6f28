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
            ("", "it is empty"), (" \r\n", "it is empty"), ("ftp://x/y", "it does not begin with http:// or https://"),
            ("file:///etc/passwd", "does not begin with"), ("//host/x", "does not begin with"),
            ("https://", "it has no host"), ("http:///x", "it has no host"),
            ("javascript:alert(1)", "does not begin with"),
            ("http://a b/", "a blank in it"),
            ("http://bücher.example/v2", "its host is not ASCII: write it in the form xn--"),
            ("http://host/\u{1B}[2J", "a line break or another control character"),
            ("http://host/a\nb", "a line break or another control character"), ("https:/host/x", "does not begin with"),
            ("http://user@/x", "it is not an http or https URL"), ("/relative", "does not begin with"),
            ("http://h/" + String(repeating: "x", count: 20_000), "it has 20009 bytes, at most 16384 are supported"),
        ])
    func aURLThatIsUnusableIsRefusedWithTheReason(url: String, reason: String) {
        guard case .unusableURL(let text)? = refusal(fields(url: url), checkRequest) else {
            Issue.record("not refused")
            return
        }
        #expect(text.contains(reason) && text.count < 300, "\(text)")
    }

    @Test(
        arguments: [
            ("http://h/a b.bin", "http://h/a%20b.bin"), (" http://h/a\n", "http://h/a"),
            ("http://h/a\r\n", "http://h/a"),
            ("\u{FEFF}http://h/a\t", "http://h/a"), ("http://h/é/版.bin?q=ü", "http://h/%C3%A9/%E7%89%88.bin?q=%C3%BC"),
            ("http://h/100%.bin", "http://h/100%25.bin"), ("http://h/a%20b", "http://h/a%20b"),
            ("http://h/<a>|{b}", "http://h/%3Ca%3E%7C%7Bb%7D"), ("HTTP://h/a", "http://h/a"),
            ("http://h?f=v2", "http://h/?f=v2"),
            ("http://h:8#x", "http://h:8/#x"),
            ("http://h/" + String(repeating: "x", count: 8000), "http://h/" + String(repeating: "x", count: 8000)),
        ])
    func aURLWithCharactersThatItCannotHaveIsRepaired(url: String, repaired: String) throws {
        #expect(try Offer(fields(url: url), respondingTo: checkRequest).urlPath == repaired)
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
