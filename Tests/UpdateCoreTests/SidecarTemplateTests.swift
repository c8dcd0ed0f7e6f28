import Testing
import UpdateCore

@Suite struct SidecarTemplateTests {
    private func address(_ template: String, _ url: String, name: String = "v 2/β") throws -> String? {
        let fields = OfferFields(
            urlKey: "k", versionName: name, versionCode: 2, urlPath: url, upgradeType: 2, promptUpgradeContent: "")
        let offer = try Offer(fields, respondingTo: CheckRequest(urlKey: "k", versionCode: 1))
        return try SidecarTemplate(template).address(for: offer)?.text
    }

    @Test(
        arguments: [
            ("{url}.minisig", "https://h/a.tar", "https://h/a.tar.minisig"),
            ("{url}.minisig", "https://h/a.tar?sig=1&x=/y", "https://h/a.tar.minisig?sig=1&x=/y"),
            ("{url}.minisig", "https://h/a.tar#top", "https://h/a.tar.minisig"),
            ("{url}.minisig", "https://h/a.tar?#top", "https://h/a.tar.minisig"),
            ("{url}.minisig", "https://h/a b.tar", "https://h/a%20b.tar.minisig"),
            ("{url}", "https://h/a?b", "https://h/a?b"),
            ("{url}.minisig?v=2", "https://h/a?b", "https://h/a.minisig?v=2"),
            ("{url}.minisig", "https://h?f=a.tar", "https://h/.minisig?f=a.tar"),
            ("https://s{path}.minisig", "https://h:8/d/a.tar?x", "https://s/d/a.tar.minisig"),
            ("https://s/{path}.minisig{query}", "https://h/d/a.tar?x=1", "https://s/d/a.tar.minisig?x=1"),
            ("https://s/{path}.minisig?{query}", "https://h/d/a.tar?x=1", "https://s/d/a.tar.minisig?x=1"),
            ("https://s/{path}.minisig?{query}", "https://h/d/a.tar", "https://s/d/a.tar.minisig"),
            ("https://s/{path}.minisig{query}", "https://h/d/a.tar", "https://s/d/a.tar.minisig"),
            ("https://s/{versionCode}/{versionName}.minisig", "https://h/a", "https://s/2/v%202%2F%CE%B2.minisig"),
            ("https://s/sig?for={url}", "https://h/a?b=c", "https://s/sig?for=https%3A%2F%2Fh%2Fa%3Fb%3Dc"),
            ("https://s/sig?v={versionCode}&{query}", "https://h/a?b=c", "https://s/sig?v=2&b=c"),
        ])
    func aTemplateGivesTheAddressOfTheSignature(template: String, url: String, expected: String) throws {
        #expect(try address(template, url) == expected)
    }

    @Test(arguments: ["{uri}.minisig", "{url", "url}.minisig", "{}", "{url}.{VERSIONCODE}"])
    func anUnknownPlaceholderIsAnError(template: String) {
        #expect(throws: SidecarTemplate.Problem.self) { try SidecarTemplate(template) }
    }

    @Test(arguments: ["{path}", "ftp://h/{versionCode}", "https:///{path}"]) func aTemplateMustGiveAWebAddress(
        template: String
    ) throws {
        #expect(try address(template, "https://h/a") == nil)
    }
}
