import Testing
import UpdateCore

@Suite struct SuggestionTests {
    private let verbs = [
        "status", "check", "accept", "defer", "reject", "cancel", "retry", "install", "history", "inhibit",
    ]

    @Test(arguments: [
        ("statsu", "status"), ("chekc", "check"), ("Check", "check"), ("acept", "accept"), ("acccept", "accept"),
        ("inst", "install"), ("HISTORY", "history"), ("can-cel", "cancel"), ("rejekt", "reject"),
        ("histroy", "history"),
    ])
    func aMisspelledNameIsRecognized(name: String, meant: String) {
        #expect(suggestion(for: name, among: verbs) == meant)
    }

    @Test(arguments: [
        "", "-", "x", "in", "upgrade", "stop", "help", String(repeating: "status", count: 1000), "\u{0}\u{1}",
    ])
    func anotherNameIsNone(name: String) {
        #expect(suggestion(for: name, among: verbs) == nil)
        #expect(suggestion(for: name, among: []) == nil)
    }

    @Test func theNearestNameIsSuggested() {
        #expect(suggestion(for: "url_key", among: ["url", "urlKeys", "urlKey"]) == "urlKey")
        #expect(suggestion(for: "keyx", among: ["keyA", "keyB"]) == "keyA")
        #expect(isSpelledAlike("dev-key_Format", "devKeyFormat") && !isSpelledAlike("devKey", "devKeys"))
    }
}
