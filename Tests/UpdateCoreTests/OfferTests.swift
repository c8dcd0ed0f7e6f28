import Testing
import UpdateCore

@Suite struct OfferTests {
    private let question = Question(urlKey: "box", versionCode: 5)

    private func fields(
        urlKey: String = "box", code: Int = 6, url: String = "https://files.example/6", type: Int = 2, text: String = ""
    ) -> OfferFields {
        OfferFields(
            urlKey: urlKey, versionName: "v\(code)", versionCode: code, urlPath: url, upgradeType: type,
            promptUpgradeContent: text)
    }

    private func refusal(_ fields: OfferFields, _ question: Question) -> OfferRefusal? {
        do throws(OfferRefusal) {
            _ = try Offer(fields, answering: question)
            return nil
        } catch {
            return error
        }
    }

    @Test func aNewerVersionIsTaken() {
        #expect(refusal(fields(), question) == nil)
    }

    @Test(arguments: [5, 4, 1])
    func theSameOrAnOlderVersionIsRefused(code: Int) {
        #expect(refusal(fields(code: code), question) == .notNewer(offered: code, installed: 5))
    }

    @Test(arguments: [5, 4])
    func anAppointedVersionIsTakenEvenIfItIsNotNewer(code: Int) {
        var question = question
        question.appointVersionCode = code
        #expect(refusal(fields(code: code), question) == nil)
    }

    @Test func anotherApplicationsOfferIsRefused() {
        #expect(refusal(fields(urlKey: "other"), question) == .foreignUrlKey(found: "other", expected: "box"))
    }

    @Test(arguments: [0, -3])
    func aVersionCodeMustBePositive(code: Int) {
        #expect(refusal(fields(code: code), question) == .invalidVersionCode(code))
    }

    @Test(
        arguments: [
            "", "ftp://x/y", "file:///etc/passwd", "//host/x", "https://", "http:///x", "javascript:alert(1)",
            "http://a b/",
            "http://host/\u{1B}[2J", "https:/host/x", "http://user@/x", "/relative",
        ])
    func anAddressThatIsNotHTTPIsRefused(url: String) {
        #expect(refusal(fields(url: url), question) == .unusableURL(url.forPeople(limit: 200)))
    }

    @Test(arguments: ["http://host", "HTTPS://Host:8080/a?b=c#d", "http://[::1]:80/x", "https://user:pass@host/x"])
    func httpAddressesAreTaken(url: String) {
        #expect(refusal(fields(url: url), question) == nil)
    }

    @Test func textForPeopleLosesWhatCouldDeceiveThem() throws {
        let text = "a\u{1B}[31mb\nc\u{202E}d\u{0}e\u{9B}f  "
        let offer = try Offer(fields(text: text), answering: question)
        #expect(offer.promptUpgradeContent == "a [31mb cd e f")
        #expect("日本語 👨‍👩‍👧 é".forPeople(limit: 50) == "日本語 👨‍👩‍👧 é")
        let long = try Offer(fields(text: String(repeating: "x", count: 100_000)), answering: question)
        #expect(long.promptUpgradeContent.count == 4096)
    }

    @Test func aPercentageAtTheStartOfALineIsFound() {
        for (line, percentage) in [(" 90% Copying image", 90), ("42 % half", 42), ("100%", 100)] {
            #expect(line.leadingPercentage == percentage)
        }
        for line in ["", "%", "90", "400 %", "about 90 %", "-1 %"] { #expect(line.leadingPercentage == nil) }
    }

    @Test func upgradeTypesAreTheContracts() {
        #expect(
            [0, 1, 2, 3, 9].map { UpgradeType(code: $0) } == [.unknown(0), .prompt, .silent, .forced, .unknown(9)])
    }
}
