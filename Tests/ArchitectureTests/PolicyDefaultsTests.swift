import Host
import TestSupport
import Testing

/// The defaults that the documents name are those of docs/configuration.md, which is generated from the schema.
@Suite struct PolicyDefaultsTests {
    private typealias Mention = (option: String, value: String)

    private static func text(_ path: String) throws -> String {
        String(decoding: try Files.read("\(repositoryDirectory)/\(path)", limit: 1 << 20), as: UTF8.self)
    }

    @Test(arguments: [("docs/policy.md", 13), ("docs/production-checklist.md", 1)])
    func theNamedDefaultsAreThoseOfTheSchema(document: String, count: Int) throws {
        let defaults = Self.defaults(in: try Self.text("docs/configuration.md"))
        #expect(defaults.count > 40)
        let mentions = Self.mentions(in: try Self.text(document))
        #expect(mentions.count >= count, "\(mentions)")
        for (option, value) in mentions {
            guard let standard = defaults[option] else {
                Issue.record("\(document) names \(option) (\(value)): docs/configuration.md has no such default")
                continue
            }
            #expect(Self.withoutBlanks(value) == Self.withoutBlanks(standard), "\(document): \(option)")
        }
    }

    @Test func optionsAndTheirValuesAreRecognized() {
        let reference = """
            ## poll

            Lines that are no default: `x`

            ### poll.interval

            - allowed: `"1s"` to `"30d"`
            - default: `"6h"`

            ### device.devKey

            - default: derived from a MAC address

            ### install.attempts

            - default: `3`
            """
        #expect(Self.defaults(in: reference) == ["poll.interval": "6h", "install.attempts": "3"])
        let document = """
            Every `poll.interval` (6 h) ± 10 %, within `poll.splay`
              (90 min); `install.attempts` failures, `splay` (1 h).
            """
        let found = Self.mentions(in: document)
        #expect(found.map(\.option) == ["poll.interval", "poll.splay"])
        #expect(found.map(\.value) == ["6 h", "90 min"])
        #expect(Self.withoutBlanks("6 h") == "6h")
    }

    /// The defaults that are values, by the headings before them; strings are without their quotation marks.
    private static func defaults(in reference: String) -> [String: String] {
        var defaults: [String: String] = [:]
        var option: String?
        for line in reference.split(separator: "\n") {
            if line.hasPrefix("#") {
                option = line.wholeMatch(of: /### ([a-z]+\.[A-Za-z]+)/).map { String($0.output.1) }
            } else if let option, let value = line.wholeMatch(of: /- default: `([^`]*)`/)?.output.1 {
                defaults[option] = value.filter { $0 != "\"" }
            }
        }
        return defaults
    }

    /// Each option with the value in parentheses after it, also on the next line.
    private static func mentions(in document: String) -> [Mention] {
        document.matches(of: /`([a-z]+\.[A-Za-z]+)`\s+\(([^)]*)\)/).map { match in
            (String(match.output.1), String(match.output.2))
        }
    }

    private static func withoutBlanks(_ value: String) -> String { value.filter { !$0.isWhitespace } }
}
