import Configuration
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// Keys that cannot be sent, proxies that are no URLs, and what messages show of secrets.
@Suite struct SecretOptionTests {
    private let root: Scratch
    private static let password = "w0rd"

    init() throws { root = try Scratch() }

    private let device = """
        [device]
        urlKey = "device"
        devKey = "d"
        versionCode = 3
        [verification]
        keysDirectory = "/"

        """

    private func complaint(_ text: String, keys: Bool = true, mode: mode_t = 0o600) throws -> String {
        let credentials = keys ? "[credentials]\naccessKey = \"ak\"\nsecretKey = \"sk\"\n" : ""
        try root.write("etc/upgradelinkd/upgradelinkd.toml", device + credentials)
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/50-test.toml", text, mode: mode)
        do throws(ConfigurationErrors) {
            let (settings, _) = try Settings.loadWithCredentials(root: root.path, environment: [:])
            return (["none"] + settings.warnings).joined(separator: "\n").replacing(root.path, with: "")
        } catch {
            return error.errors.map { "\($0)".replacing(root.path, with: "") }.joined(separator: "\n")
        }
    }

    private static let file = "/etc/upgradelinkd/upgradelinkd.toml.d/50-test.toml"

    @Test func aURLInAListOrATableIsASecretToo() throws {
        let warned = try complaint(
            """
            [install]
            healthProgram = ["/usr/bin/curl", "--proxy", "http://u:w0rd@proxy:3128"]
            [install.metaData]
            source = { mirrors = ["https://u:w0rd@mirror.example/x"] }
            "http://u:w0rd@in-a-key/" = 1
            "http://v:w0rd@in-a-key/" = 2
            """, mode: 0o644)
        #expect(warned.contains("install.healthProgram") && warned.contains("install.metaData"), "\(warned)")
        #expect(!warned.contains(Self.password))
        let shown = try EffectiveConfiguration(root: root.path).entries.compactMap(\.value).joined(separator: "\n")
        #expect(shown.contains("***@in-a-key/\"") && shown.contains("***@in-a-key/ (2)\""), "\(shown)")
        #expect(shown.contains("***@proxy:3128") && shown.contains("***@mirror.example"), "\(shown)")
        #expect(!shown.contains(Self.password))
    }

    // MARK: proxies

    @Test(arguments: [
        "http://proxy.example:3128", "HTTPS://proxy.example", "http://10.0.0.1:8080/", "socks4://h", "socks4a://h:1",
        "socks5://h", "socks5h://user@h:65535", "http://user:w0rd@h", "http://user:@h", "http://:w0rd@h",
        "http://u:w0rd%40%2F%3A%25@h", "http://u:w0rd:x@h", "http://u:w0rd!$&'*+,;=^{}@h", "http://[::1]:3128",
        "socks5h://u:w0rd@[fe80::1%25eth0]", "http://under_score", "http://u:wörd@h",
    ])
    func aProxyIsAURL(proxy: String) throws {
        #expect(try complaint("[server]\nproxy = '''\(proxy)'''") == "none")
        let settings = try Settings.load(root: root.path, environment: [:])
        #expect(settings.server.proxy?.text == proxy)
        #expect(!"\(settings)".contains(Self.password))
        var dumped = ""
        dump(settings.server, to: &dumped)
        #expect(!dumped.contains(Self.password))
    }

    @Test(arguments: [
        ("", "it does not begin with a scheme"), ("proxy.example", "it does not begin with a scheme"),
        ("proxy.example:3128", "it does not begin with a scheme"),
        ("user:w0rd@proxy.example:3128", "it does not begin with a scheme"),
        ("//user:w0rd@h", "it does not begin with a scheme"), ("http:/user:w0rd@h", "it does not begin with a scheme"),
        ("ftp://user:w0rd@h", "its scheme is not one of http, https,"),
        ("w0rd://h", "its scheme is not one of http, https,"),
        ("http://", "it has no host"), ("http://user:w0rd@", "it has no host"), ("http://:80", "it has no host"),
        ("http://[w0rd]", "it has no host"), ("http://[::1", "it has no host"), ("http://h%41", "it has no host"),
        ("http://user:w0rd@h\u{202E}x", "it contains an invisible character (U+202E)"),
        ("http://wörd.example", "it has no host"),
        ("http://user:w0rd@h:0", "its port is not a number"), ("http://user:w0rd@h:65536", "its port is not a number"),
        ("http://user:w0rd@h:", "its port is not a number"), ("http://user:h:w0rd", "its port is not a number"),
        ("http://[::1]x", "its port is not a number"),
        ("http://user:w0@rd@h", "it has more than one @; in a user or a password, @ is written %40"),
        ("http://user:w0/rd@h", "it has a path, a query or a fragment; in a user"),
        ("http://user:w0?rd@h", "it has a path, a query or a fragment; in a user"),
        ("http://user:w0#rd@h", "it has a path, a query or a fragment; in a user"),
        ("http://h/path", "it has a path"), ("http://h?w0rd", "it has a path"), ("http://h\\@w0rd", "it has a path"),
        ("http://user:w0%rd@h", "it has a % without two hex digits"), ("http://user:w0rd%@h", "it has a % without"),
        ("http://user:w0rd%0d%0aX: y@h", "it contains a blank"),
        ("http://user:w0rd%0a@h", "its user or its password contains a line break"),
        ("http://user:w0rd@h\n", "it contains a line break"), ("http://user:w0\u{1B}rd@h", "it contains a control"),
        (" http://user:w0rd@h", "it contains a blank"), ("http://user:w0 rd@h", "it contains a blank"),
    ])
    func whatIsNoProxyIsAnErrorWithoutItsText(proxy: String, problem: String) throws {
        let line = try complaint("[server]\nproxy = \(quoted(proxy))")
        #expect(
            line.hasPrefix("\(Self.file):2: server.proxy: found a text that is not the URL of a proxy: \(problem)"),
            "\(line)")
        #expect(line.contains("write it as \"http://proxy.example:3128\""), "\(line)")
        for part in [Self.password, "rd@h", "w0@"] { #expect(!line.contains(part), "\(line)") }
    }

    /// As a basic string of TOML.
    private func quoted(_ text: String) -> String {
        "\""
            + text.unicodeScalars.map { scalar in
                scalar.value >= 0x20 && scalar.value != 0x7F && scalar != "\\" && scalar != "\""
                    ? String(scalar)
                    : "\\u" + String(repeating: "0", count: 4 - String(scalar.value, radix: 16).count)
                        + String(scalar.value, radix: 16)
            }.joined() + "\""
    }

    // MARK: keys

    @Test(arguments: [
        ("credentials.accessKey", "ak\r\nX-Injected: 1", "a line break"),
        ("credentials.secretKey", "w0rd\n", "a line break"),
        ("credentials.secretKey", "w0rd\r", "a line break"),
        ("credentials.accessKey", "a\tk", "a control character (U+0009)"),
        ("credentials.secretKey", "w0\u{7F}rd", "a control character (U+007F)"),
        ("credentials.secretKey", "w0\u{9B}rd", "a control character (U+009B)"),
        ("credentials.accessKey", "ak\u{200B}", "an invisible character (U+200B)"),
        ("credentials.accessKey", "\u{FEFF}ak", "an invisible character (U+FEFF)"),
        ("device.devKey", "d\r\nHost: x", "a line break"), ("device.urlKey", "u\n", "a line break"),
        ("device.devModelKey", "m\u{202E}", "an invisible character (U+202E)"),
    ])
    func aKeyWithALineBreakIsAnError(key: String, value: String, found: String) throws {
        let parts = key.split(separator: ".")
        let line = try complaint("[\(parts[0])]\n\(parts[1]) = \(quoted(value))")
        #expect(line.hasPrefix("\(Self.file):2: \(key): found \(found) in the text, allowed is one line"), "\(line)")
        #expect(!line.contains("w0") && !line.contains("Injected"), "\(line)")
    }

    @Test(arguments: ["secretKey", "accessKey"]) func aKeyFileHasOneLine(name: String) throws {
        for (content, found) in [
            ("w0rd\nw1rd\n", "found a line break within the key in FILE"),
            ("w0rd\r\n\r\nw1rd", "found a line break within"),
            ("w0rd\u{2028}w1rd", "found a line break within"), ("w0rd\rw1rd", "found a line break within"),
            ("w0rd\u{1B}[m\n", "found a control character (U+001B) in the key in FILE"),
            ("w0\u{200B}rd\n", "found an invisible character (U+200B) in the key in FILE"),
        ] {
            let file = try root.write("key", content)
            let other = name == "accessKey" ? "secretKey" : "accessKey"
            let text = "[credentials]\n\(name)File = \"\(file)\"\n\(other) = \"x\""
            let line = try complaint(text, keys: false)
            #expect(
                line.hasPrefix("\(Self.file):2: credentials.\(name)File: " + found.replacing("FILE", with: "/key")),
                "\(line)")
            #expect(line.hasSuffix("; write the key alone on one line") && !line.contains("w0"), "\(line)")
        }
        try Files.replace("\(root.path)/key", with: [0x77, 0xFF, 0x30])
        let other = name == "accessKey" ? "secretKey" : "accessKey"
        #expect(
            try complaint("[credentials]\n\(name)File = \"\(root.path)/key\"\n\(other) = \"x\"", keys: false).contains(
                "is not UTF-8 text"))
        // Those of systemd as well.
        try root.write("credentials/accessKey", "ak\n")
        try root.write("credentials/secretKey", "w0rd\nX: y\n")
        try root.write("etc/upgradelinkd/upgradelinkd.toml", device)
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/50-test.toml", "")
        #expect {
            try Settings.loadWithCredentials(
                root: root.path, environment: ["CREDENTIALS_DIRECTORY": "\(root.path)/credentials"])
        } throws: {
            "\($0)".contains(
                "credentials.secretKey: found a line break within the key in \(root.path)/credentials/secretKey")
        }
    }

    // MARK: what is shown

    @Test func theConfigurationIsShownWithoutSecrets() throws {
        try root.write("etc/upgradelinkd/upgradelinkd.toml", device)
        try root.write(
            "etc/upgradelinkd/upgradelinkd.toml.d/50-test.toml",
            """
            [server]
            proxy = "http://user:w0rd@proxy.example:3128"
            url = "https://user:w0rd@api.example/x"
            [credentials]
            secretKey = "w0rd"
            [device]
            devKeySalt = "w0rd"
            [verification]
            signatureUrl = "https://user:w0rd@sign.example/{path}"
            """)
        let entries = try EffectiveConfiguration(root: root.path).entries
        let values = Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value ?? "") })
        #expect(!values.values.contains { $0.contains(Self.password) })
        #expect(values["server.proxy"] == "\"http://***@proxy.example:3128\"")
        #expect(values["server.url"]?.contains("***@api.example") == true)
        #expect(values["credentials.secretKey"] == "***" && values["device.devKeySalt"] == "***")
    }

    @Test(arguments: [
        ("[server]\nproxy = \"http://user:w0rd@h\"", "server.proxy"),
        ("[server]\nproxy = \"http://w0rd@h\"", "server.proxy"),
        ("[server]\nurl = \"https://user:w0rd@h\"", "server.url"),
        ("[device]\ndevKeySalt = \"w0rd\"", "device.devKeySalt"),
        ("[credentials]\nsecretKey = \"w0rd\"", "credentials.secretKey"),
        ("[verification]\nsignatureUrl = \"https://u:w0rd@h/{path}\"", "verification.signatureUrl"),
    ])
    func aSecretInAFileThatOthersCanReadCausesAWarning(text: String, key: String) throws {
        #expect(try complaint(text) == "none")
        let lines = try complaint(text, mode: 0o644).split(separator: "\n")
        #expect(lines.count == 2, "\(lines)")
        #expect(lines.last?.hasPrefix("\(Self.file): \(key): others can read this file") == true, "\(lines)")
        #expect(lines.last?.contains("chmod o-r") == true && lines.last?.contains(Self.password) == false)
    }

    @Test func aProxyWithoutAPasswordCausesNoWarning() throws {
        #expect(
            try complaint("[server]\nproxy = \"http://proxy.example\"\nurl = \"https://h/a@b\"", mode: 0o644) == "none")
    }

    @Test func aKeyFileThatOthersCanReadCausesAWarning() throws {
        let file = try root.write("key", "w0rd\n", mode: 0o644)
        let text = "[credentials]\nsecretKeyFile = \"\(file)\"\naccessKey = \"x\""
        #expect(try complaint(text, keys: false).contains("/key: credentials.secretKeyFile: others can read this file"))
        chmod(file, 0o600)
        #expect(try complaint(text, keys: false) == "none")
    }

    /// Secrets at wrong places, and with wrong syntax, which the parser quotes.
    @Test(arguments: [
        "[credentials]\nsecretKey = true-w0rd", "[credentials]\nsecretKey = 1234w0rd",
        "[credentials]\nsecretKey = 0w0rd",
        "[credentials]\nsecretKey = [\"w0rd\"]", "[credentials]\nsecretKey = {w = \"w0rd\"}", "credentials = \"w0rd\"",
        "server = \"http://u:w0rd@h\"", "[server]\nproxy = http://u:w0rd@h", "[server]\nproxy = \"http://u:w0rd@h",
        "[server]\nproxy = [\"http://u:w0rd@h\"]", "[server]\nproxy = 'http://u:w0rd@h",
        "[server]\nurl = \"http://u:w0rd@h:x y\"",
        "[server]\nurl = \"u:w0rd@h\"", "[server]\nurl = \"http://u:w0 rd@h\"", "[server]\nurl = \"ftp://u:w0rd@h\"",
        "[server]\ncaBundle = \"http://u:w0rd@h\"", "[poll]\ninterval = \"http://u:w0rd@h\"",
        "[server]\nconnectTimeout = 99w0rd", "[credentials]\nsecretKey = infw0rd",
        "[credentials]\nsecretKey = 2020-w0rd",
        "[credentials]\nsecretKey = 0xw0rd", "[credentials]\nsecretKey = 1e5w0rd",
        "[credentials]\nsecretKey = 99999999999999999999",
        "[verification]\nsignatureUrl = \"http://u:w0rd@h/{nosuch}\"", "[install]\nmodule = \"http://u:w0rd@h\"",
        "[install]\n\"http://u:w0rd@h/\" = 1", "\"http://u:w0rd@h/\" = 1", "[\"http://u:w0rd@h/\"]",
        "[install.files]\n\"http://u:w0rd@h/\" = 1", "[install.timeouts]\n\"http://u:w0rd@h/\" = []",
        "[install.metaData]\n\"http://u:w0rd@h/\" = 1\n\"http://u:w0rd@h/\" = 2",
        "[credentials]\nsecretKey = \"w0rd\\q\"", "[credentials]\nsecretKey = \"a\"\nsecretKey = \"w0rd\"",
    ])
    func noErrorQuotesASecret(text: String) throws {
        // The other key may be missing as well.
        let line = try complaint(text, keys: !text.contains("credentials"))
        #expect(line.split(separator: "\n").contains { $0.hasPrefix(Self.file) }, "\(line)")
        for part in ["w0rd", "w0 rd", "rd@h", "w0r", "true-", "1234", "99999"] {
            #expect(!line.contains(part), "\(line)")
        }
    }

    /// They are known also if the configuration cannot be used, so that a report does not contain them.
    @Test func theSecretsOfAWrongConfigurationAreKnown() throws {
        let file = try root.write("key", "\u{FEFF}in-a-file\n")
        try root.write("credentials/secretKey", "\"from-systemd\"")
        try root.write(
            "etc/upgradelinkd/upgradelinkd.toml",
            """
            credentials = { accessKey = "quoted \\" key" }
            [server]
            secretKey = "misplaced"
            url = "https://u:w0rd@h"
            """)
        try root.write(
            "etc/upgradelinkd/upgradelinkd.toml.d/50-test.toml",
            """
            broken = = 1
            credentials = { accessKey = "in-broken-1", secretKey = 'in-broken-2' }
            [credentials]
            accessKeyFile = "\(file)"
            secretKey = without-quotes # comment
            [device]
            urlKey = "no-secret"
            devKeySalt = "one-quote
            [install]
            metaData = { token = "in-broken-table" }
            [server]
            proxy = "socks5://u:proxy-w0rd@h"
            """)
        let secrets = ConfigurationSecrets(
            root: root.path, environment: ["CREDENTIALS_DIRECTORY": "\(root.path)/credentials"])
        for text in [
            "in-a-file", "from-systemd", "quoted \" key", "quoted \\\" key", "misplaced", "in-broken-1", "in-broken-2",
            "without-quotes", "one-quote", "in-broken-table",
        ] {
            #expect(secrets.texts.contains(text), "\(text) in \(secrets.texts)")
        }
        #expect(!secrets.texts.contains("no-secret") && secrets.unread.isEmpty)
        #expect(secrets.urls.contains("https://u:w0rd@h") && secrets.urls.contains { $0.contains("proxy-w0rd") })
        // What may have more is named, except if it is not there.
        try Files.remove(file)
        #expect(ConfigurationSecrets(root: root.path, environment: [:]).unread.isEmpty)
        symlink(file, file)
        #expect(ConfigurationSecrets(root: root.path, environment: [:]).unread.map(\.path) == [file])
    }

    @Test func anErrorHasNoControlCharacters() throws {
        for text in [
            "[poll]\ninterval = \"\\u001b[2J\\n\\u202e\"", "[server]\n\"a\\u001b[31m\" = 1", "\"\\u0007\" = 1",
        ] {
            let line = try complaint(text)
            #expect(line.hasPrefix(Self.file) && line.hiddenCharacter == nil, "\(line.debugDescription)")
        }
    }
}
