import Configuration
import Glibc
import Host
import TestSupport
import Testing

/// Everything that is wrong is reported at once, in the order of files and lines.
@Suite struct ManyErrorsTests {
    private let root: Scratch

    init() throws { root = try Scratch() }

    private static let valid = """
        verification.keysDirectory = "/"
        credentials = { accessKey = "a", secretKey = "w0rd" }
        device = { urlKey = "u", devKey = "d", versionCode = 1 }

        """

    /// - Parameter files: the administrator's file, and the drop-ins a.toml, b.toml, …
    /// - Returns: the lines, with `main`, `a`, `b`, … instead of the files.
    private func complaints(_ files: String...) throws -> [String] {
        let directory = "etc/upgradelinkd/upgradelinkd.toml"
        try root.write(directory, files[0])
        for (name, text) in zip(["a", "b", "c"], files.dropFirst()) {
            try root.write("\(directory).d/\(name).toml", text)
        }
        do throws(ConfigurationErrors) {
            _ = try Settings.loadWithCredentials(root: root.path, environment: [:])
            return []
        } catch {
            return error.errors.map {
                "\($0)".replacing("\(root.path)/\(directory).d/", with: "").replacing(
                    "\(root.path)/\(directory)", with: "main"
                )
                .replacing(".toml:", with: ":")
            }
        }
    }

    private func complaint(_ text: String) throws -> String {
        try complaints(Self.valid, text).joined(separator: "\n")
    }

    @Test func allErrorsOfAllFilesAreReported() throws {
        let found = try complaints(
            """
            # A comment
            [poll]
            interval = "fast"

            splay = "8d"
            [device]
            urlKey = "u"
            devKeyFormat = "sha256"
            """,
            "[server]\nclientKey = \"/etc/passwd\"\n[install]\nhealthTimeout = \"5s\"\nhealthSettle = \"6s\"\nattempts = 0",
            "[server]\nurl = \"ftp://x\"\nurlKey = \"x\"")
        #expect(
            found.map { String($0.prefix { $0 != " " }) + $0.split(separator: " ")[1] } == [
                "main:3:poll.interval:", "main:5:poll.splay:", "main:8:device.devKeySalt:",
                "main:credentials.accessKey:", "main:credentials.secretKey:", "main:device.versionFile:",
                "a:2:server.clientCertificate:", "a:5:install.healthSettle:", "a:6:install.attempts:",
                "b:2:server.url:", "b:3:server.urlKey:",
            ], "\(found.joined(separator: "\n"))")
    }

    /// An error of syntax hides neither the errors of other files nor those before it.
    @Test func aSyntaxErrorInOneOfThreeFilesHidesNothing() throws {
        let found = try complaints(
            "[poll]\ninterval = \"fast\"", "[download]\nnice = 50\nsizeLimit = = 5\n[credentials]\nsecretKey = \"s\"",
            "[install]\nattempts = 0")
        #expect(found.count == 4, "\(found)")
        #expect(found[0].hasPrefix("main:2: poll.interval: found"))
        #expect(found[1].hasPrefix("a:2: download.nice: found the number 50"))
        #expect(found[2].hasPrefix("a:3:") && found[2].contains(": not TOML: "))
        #expect(found[3].hasPrefix("b:2: install.attempts: found the number 0"))
    }

    /// A line that is not TOML is left out, and the rest is checked, if it is clear where the next option begins.
    @Test(arguments: [
        (
            "[poll]\ninterval = = 5\nsplay = 0x\n[install]\nattempts = 0\n[download\nnice = 50\n[state]\ndirectory = \"x\"",
            ["a:2:", "a:3:", "a:5: install.attempts: ", "a:6:", "a:9: state.directory: "]
        ),
        ("[poll]\ninterval = \"5h\nsplay = \"x\"", ["a:2:", "a:3: poll.splay: "]),
        (
            "[poll]\nsplay = \"x\"\ninterval =\n[install]\nattempts = 0",
            ["a:2: poll.splay: ", "a:3:", "a:5: install.attempts: "]
        ),
        ("[poll]\n[install]\n[poll]\nsplay = \"x\"", ["a:3: poll: found [poll] again", "a:4: poll.splay: "]),
        // A list without its end: the options before it are checked.
        (
            "[poll]\nsplay = \"x\"\n[install]\nwindows = [\n\"a\"\n\"b\"\n]\nattempts = 0",
            ["a:2: poll.splay: ", "a:6:"]
        ),
    ])
    func theRestOfAFileIsChecked(text: String, starts: [String]) throws {
        let found = try complaints(Self.valid, text)
        #expect(found.count == starts.count && zip(found, starts).allSatisfy { $0.hasPrefix($1) }, "\(found)")
    }

    @Test func whatIsNotCheckedIsNamed() throws {
        let list = try complaint("[install]\nwindows = [\n\"a\"\n\"b\"\n]\nattempts = 0")
        #expect(list.hasPrefix("a:4:") && list.hasSuffix("; the rest of this file was not checked"), "\(list)")
        let section = try complaint("[install\nattempts = 0\n[poll]\nsplay = 5")
        #expect(
            section.hasPrefix("a:1:") && section.hasSuffix("; the rest of this section was not checked"), "\(section)")
        let last = try complaint("[install]\nattempts = = 0\n# A comment\n")
        #expect(last.hasPrefix("a:2:") && !last.contains("checked"), "\(last)")
        // The number of errors is bounded.
        let many = try complaints(Self.valid, (0..<50).map { "x\($0) = = 1\n" }.joined())
        #expect(many.count == 10 && many.last?.hasSuffix("; the rest of this file was not checked") == true, "\(many)")
    }

    /// A link was made to set something.
    @Test(arguments: ["/upgradelinkd.toml", "/upgradelinkd.toml.d/50-site.toml", "/upgradelinkd.toml.d", ""])
    func aLinkThatLeadsNowhereIsAnError(name: String) throws {
        let path = "\(root.path)/etc/upgradelinkd\(name)"
        try Files.createDirectory(Files.directory(of: path))
        symlink("/nonexistent/target", path)
        do throws(ConfigurationErrors) {
            _ = try Settings.load(root: root.path, environment: [:])
            Issue.record("it was read")
        } catch {
            #expect(
                error.errors.map { "\($0)" } == [
                    "\(path): found a link to /nonexistent/target, which does not exist; correct the link, or remove it"
                ])
        }
        // A link to an empty file masks the vendor's.
        guard name.hasSuffix(".toml") else { return }
        unlink(path)
        symlink("/dev/null", path)
        do throws(ConfigurationErrors) {
            _ = try Settings.load(root: root.path, environment: [:])
        } catch {
            #expect(!"\(error)".contains("found a link"), "\(error)")
        }
    }

    @Test func aStatusIsOneLine() throws {
        try root.write("etc/upgradelinkd/upgradelinkd.toml", "x = 1\ny = 2")
        do throws(ConfigurationErrors) {
            _ = try Settings.load(root: root.path, environment: [:])
            Issue.record("it was read")
        } catch {
            let line = "\(error)".replacing(root.path, with: "")
            #expect(
                line.hasPrefix(
                    "4 errors in the configuration; the first: /etc/upgradelinkd/upgradelinkd.toml:1: x: found")
                    && line.hasSuffix("; upgradelinkd --check-config shows all") && !line.contains("\n"), "\(line)")
        }
    }

    // MARK: did you mean

    @Test(arguments: [
        ("[devise]\nurlKey = \"x\"", "a:1: devise: found a key that is not known; did you mean device?"),
        (
            "[device]\nurl-key = \"x\"",
            "a:2: device.url-key: found a key that is not known; did you mean device.urlKey?"
        ),
        (
            "[device]\nurl_key = \"x\"",
            "a:2: device.url_key: found a key that is not known; did you mean device.urlKey?"
        ),
        ("[device]\nURLKEY = \"x\"", "a:2: device.URLKEY: found a key that is not known; did you mean device.urlKey?"),
        ("[server]\nurlKey = \"x\"", "a:2: server.urlKey: found a key that is not known; did you mean device.urlKey?"),
        (
            "[install]\ndirectory = \"/x\"",
            "a:2: install.directory: found a key that is not known; did you mean download.directory or state.directory?"
        ),
        ("[install]\nfile = 1", "a:2: install.file: found a key that is not known; did you mean install.files?"),
        ("[server]\nkey = 1", "a:2: server.key: found a key that is not known; did you mean server.clientKey?"),
        (
            "[server]\ntimeout = 1",
            "a:2: server.timeout: found a key that is not known; did you mean server.connectTimeout or server.requestTimeout?"
        ),
        (
            "[poll]\nbackOff = 1",
            "a:2: poll.backOff: found a key that is not known; did you mean poll.backOffBase or poll.backOffCap?"
        ),
        (
            "[credentials]\nkey = 1",
            "a:2: credentials.key: found a key that is not known; did you mean credentials.accessKey or credentials.secretKey?"
        ),
        (
            "[metrics]\ndirectory = \"/x\"",
            "a:2: metrics.directory: found a key that is not known; did you mean metrics.file?"
        ),
        (
            "[device]\ninterval = 1",
            "a:2: device.interval: found a key that is not known; did you mean device.interface or poll.interval?"
        ),
        (
            "urlKey = \"x\"",
            "a:1: urlKey: found a key that is not known; did you mean device.urlKey? An option is written below its section, [device], or as device.urlKey = … above all sections"
        ),
        (
            "\"device.urlKey\" = \"x\"",
            "a:1: device.urlKey: found a key that is not known; did you mean device.urlKey? Write it without quotation marks"
        ),
        (
            "[poll]\nsplay = 5\ndevice.urlKey = \"x\"",
            "a:3: poll.device.urlKey: found a key that is not known; did you mean device.urlKey? It follows the section [poll], so it belongs to that: move it above all sections, or below [device] as urlKey = …"
        ),
        (
            "[poll]\nzzzzzzzz = 1",
            "a:2: poll.zzzzzzzz: found a key that is not known; allowed are poll.interval, poll.splay, poll.backOffBase, poll.backOffCap"
        ),
        (
            "[zzzzzzzz]",
            "a:1: zzzzzzzz: found a key that is not known; allowed are server, credentials, device, poll, download, verification, install, state, metrics"
        ),
        (
            "[verification]\nmode = \"minisgn\"",
            "a:2: verification.mode: found the text \"minisgn\", allowed is one of \"minisign\", \"sha256\", \"none\"; did you mean \"minisign\"?"
        ),
    ])
    func aMistakeHasASuggestion(text: String, line: String) throws {
        #expect(try complaint(text) == line)
    }

    /// Its misspelling is in the file, so it is not reported as missing as well.
    @Test(arguments: [
        "[devise]\nurlKey = \"u\"\nversionCode = 1", "[device]\nurl-key = \"u\"\nversionCode = 1",
        "urlKey = \"u\"\ndevice.versionCode = 1", "[device]\nurlKey = 5\nversionCode = 1",
        "[device]\nurlKey = \"u\"\nversion_code = 1", "[device]\nurlKey = \"u\"\nversionCode = \"one\"",
    ])
    func aMisspelledOptionIsReportedOnce(text: String) throws {
        let found = try complaints("credentials = { accessKey = \"a\", secretKey = \"w0rd\" }\n", text)
        #expect(found.count == 1 && found[0].hasPrefix("a:"), "\(found)")
    }

    // MARK: the same again

    @Test(arguments: [
        (
            "[device]\ndevKey = \"d\"\n\n[poll]\n[device]\nurlKey = \"w0rd\"",
            "a:5: device: found [device] again, it is already in line 1; move the options below that line"
        ),
        (
            "device.devKey = \"d\"\n[device]\nurlKey = \"w0rd\"",
            "a:2: device: found [device], but line 1 has an option of it without such a line; write all options of device in the form device.NAME = …, above all sections"
        ),
        (
            "[device]\ndevKey = \"w0rd\"\nurlKey = \"u\"\ndevKey = \"w0rd\"",
            "a:4: device.devKey: found it again, it is already set in line 2; remove one of the two lines"
        ),
        (
            "[install.files]\na = \"x\"\n[install]\nfiles.b = \"w0rd\"",
            "a:4: install.files.b: found an option of [install.files], which is already in line 1; move the option below that line as b = …"
        ),
        (
            "device.devKey = \"w0rd\"\n\ndevice.devKey = \"w0rd\"",
            "a:3: device.devKey: found it again, it is already set in line 1; remove one of the two lines"
        ),
    ])
    func whatIsThereTwiceHasARemedy(text: String, line: String) throws {
        #expect(try complaint(text) == line)
    }

    /// Neither lines nor suggestions quote a secret.
    @Test(arguments: [
        "[credentials]\nsecret_key = \"w0rd\"", "secretKey = \"w0rd\"", "[server]\nsecretKey = \"w0rd\"",
        "[poll]\ncredentials.secretKey = \"w0rd\"", "[credential]\nsecretKey = \"w0rd\"", "credentials = [\"w0rd\"]",
        "[credentials]\nsecretKey = \"w0rd\"\nsecretKey = \"w0rd\"", "[credentials]\nsecretKey = w0rd",
        "[server]\nproxyy = \"http://u:w0rd@h\"", "proxy = \"http://u:w0rd@h\"",
        "[verification]\nmode = \"http://u:w0rd@h\"",
    ])
    func noSuggestionQuotesASecret(text: String) throws {
        let found = try complaint(text)
        #expect(found.hasPrefix("a:") && !found.contains("w0rd"), "\(found)")
    }
}
