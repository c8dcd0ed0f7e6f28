import Configuration
import Host
import TestSupport
import Testing

/// `upgradelinkctl config`: TOML that has the same effect when it is read again.
@Suite struct EffectiveConfigurationTests {
    private let root: Scratch

    init() throws { root = try Scratch() }

    private static let units = (0..<9).map { "\"unit-number-\($0).service\"" }.joined(separator: ", ")
    private static let secrets = "credentials = { accessKey = \"a\", secretKey = \"w0rd\" }\n"

    @Test(arguments: [
        "[device]\nurlKey = \"u\"\nversionCode = 1",
        """
        [device]
        interface = "\\u0001\\U0001F680\\u202e"
        urlKey = "ü \\"quoted\\" \\\\ # no comment"
        versionFile = "/etc/os-release"
        [poll]
        interval = 90.5
        backOffBase = 1e2
        [install]
        metaData = { a = [1, 2.5, true, "x"], "two words" = { b = 2020-01-01T00:00:00Z }, c = inf, d = {} }
        files = { "a.b" = "line\\nbreak", link = "/opt" }
        windows = ["Mon-Fri 02:00-05:00", "03:30-04:30"]
        healthTimeout = "4s"
        timeouts = { ArtifactInstall = 5 }
        """,
        "device = { urlKey = \"u\", versionCode = 1 }\n[install]\nhealthUnits = [\(units)]",
        "[device]\nurlKey = \"u\"\nversionCode = 1\n[install]\nhealthUnits = [\"\", \"a.service\"]\nrestartUnits = [\"b.service\"]",
    ])
    func theOutputReadAgainHasTheSameEffect(text: String) throws {
        try root.write("usr/lib/upgradelinkd/upgradelinkd.toml", "[install]\nhealthUnits = [\"v.service\"]\n")
        try root.write("etc/upgradelinkd/upgradelinkd.toml", Self.secrets)
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/test.toml", text)
        let settings = try Settings.load(root: root.path, environment: [:])
        let first = try EffectiveConfiguration(root: root.path)
        for changed in [false, true] {
            let shown = first.toml(changed: changed)
            #expect(!shown.contains("w0rd"))
            let copy = try Scratch()
            try copy.write("etc/upgradelinkd/upgradelinkd.toml", shown)
            // The secrets are in comments.
            try copy.write("etc/upgradelinkd/upgradelinkd.toml.d/secrets.toml", "credentials.secretKey = \"w0rd\"\n")
            #expect(try Settings.load(root: copy.path, environment: [:]) == settings, "\(shown)")
            let again = try EffectiveConfiguration(root: copy.path)
            #expect(again.entries.map(\.value) == first.entries.map(\.value))
            #expect(again.entries.map(\.toml) == first.entries.map(\.toml))
        }
    }

    /// For a report, which others read.
    @Test func whatSoundsLikeASecretCanBeHidden() throws {
        try root.write(
            "etc/upgradelinkd/upgradelinkd.toml",
            """
            device.urlKey = "shown"
            [install]
            rebootCommand = ["/bin/reboot", "--token", "w0rd", "--auth=w0rd", "--force"]
            files = { "client.key" = "w0rd", keyboard = "/shown" }
            metaData = { a = { apiKey = ["w0rd"], PIN = 70, note = "shown" }, monkey = "shown" }
            """)
        let shown = try EffectiveConfiguration(root: root.path, hidingSuspects: true).toml()
        for text in [
            "urlKey = \"shown\"", "[\"/bin/reboot\", \"--token\", \"***\", \"--auth=***\", \"--force\"]",
            "\"client.key\" = \"***\", keyboard = \"/shown\"",
            "{ a = { PIN = \"***\", apiKey = \"***\", note = \"shown\" }, monkey = \"shown\" }",
        ] {
            #expect(shown.contains(text), "\(text) in \(shown)")
        }
        #expect(!shown.contains("w0rd"))
        #expect(try EffectiveConfiguration(root: root.path).toml().contains("w0rd"))
    }

    @Test func everyValueHasItsFileAndLine() throws {
        try root.write("etc/upgradelinkd/upgradelinkd.toml", "\(Self.secrets)[server]\nproxy = \"http://u:w0rd@h\"\n")
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/test.toml", "\n[poll]\ninterval = \"5h\"\n")
        let shown = try EffectiveConfiguration(root: root.path).toml().replacing(root.path, with: "")
        let lines = shown.split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        for line in [
            "interval = \"5h\" # /etc/upgradelinkd/upgradelinkd.toml.d/test.toml:3", "splay = \"6h\" # default",
            "# secretKey = *** # /etc/upgradelinkd/upgradelinkd.toml:1, a secret",
            "# directory is not set # default: /var/cache/upgradelinkd", "[poll]", "[state]",
        ] { #expect(lines.contains(line), "\(line) in \(shown)") }
        #expect(lines.contains { $0.hasPrefix("# proxy = \"http:") && $0.hasSuffix("toml:3, a secret") }, "\(shown)")
        let changed = try EffectiveConfiguration(root: root.path).toml(changed: true)
        #expect(!changed.contains("default") && changed.contains("interval"))
    }
}
