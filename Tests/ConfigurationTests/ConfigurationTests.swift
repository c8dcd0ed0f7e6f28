import Configuration
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@Suite struct ConfigurationTests {
    private let root: Scratch

    init() throws {
        root = try Scratch()
        try root.write("usr/lib/upgradelinkd/upgradelinkd.toml", "")
    }

    private let minimal = """
        [credentials]
        accessKey = "ak"
        secretKey = "very-secret"
        [device]
        urlKey = "device"
        devKey = "d"
        versionCode = 3
        [verification]
        keysDirectory = "/"

        """

    private func load(
        _ text: String? = nil, _ environment: [String: String] = [:]
    ) throws(ConfigurationErrors) -> Settings {
        try loadBoth(text, environment).settings
    }

    private func loadBoth(
        _ text: String?, _ environment: [String: String]
    ) throws(ConfigurationErrors) -> (settings: Settings, credentials: Credentials) {
        do { try root.write("etc/upgradelinkd/upgradelinkd.toml", text ?? minimal) } catch { Issue.record("\(error)") }
        return try Settings.loadWithCredentials(root: root.path, environment: environment)
    }

    private func complaint(_ text: String, _ environment: [String: String] = [:]) -> String {
        do throws(ConfigurationErrors) {
            _ = try load(text, environment)
            return "none"
        } catch {
            return error.errors.map { "\($0)".replacing(root.path, with: "") }.joined(separator: "\n")
        }
    }

    private static let main = "/etc/upgradelinkd/upgradelinkd.toml"

    // MARK: errors

    @Test(
        arguments: [
            (
                "[poll]\ninterval = \"fast\"",
                "poll.interval: found the text \"fast\", allowed is a length of time from 1 s to 90 d, such as \"90s\", \"15min\" or \"6h\""
            ),
            (
                "[poll]\ninterval = 0",
                "poll.interval: found the number 0, allowed is a length of time from 1 s to 90 d, such as \"90s\", \"15min\" or \"6h\""
            ),
            (
                "[poll]\nintervall = \"6h\"",
                "poll.intervall: found a key that is not known; did you mean poll.interval?"
            ),
            (
                "[state]\nfolder = \"/x\"",
                "state.folder: found a key that is not known; did you mean state.directory?"
            ),
            (
                "[install]\nmoduleFolders = [\"/x\"]",
                "install.moduleFolders: found a key that is not known; did you mean install.moduleDirectories?"
            ),
            ("[poll]\nInterval = \"6h\"", "poll.Interval: found a key that is not known; did you mean poll.interval?"),
            (
                "[pole]\ninterval = 1",
                "pole: found a key that is not known; did you mean poll?"
            ),
            (
                "[install]\nwindows = [\"Mon 2-5\"]",
                "install.windows: found \"Mon 2-5\", allowed are days and hours of local time, such as \"Mon-Fri 02:00-05:00\", \"Sat,Sun 23:00-06:00\" or \"03:30-04:30\""
            ),
            (
                "[install]\nreboot = \"never\"",
                "install.reboot: found the text \"never\", allowed is one of \"immediate\", \"window\", \"ask\""
            ),
            ("poll = 5", "poll: found the number 5, allowed is a table: [poll]"),
            ("[server]\nurl = \"ftp://x\"", "server.url: found the text \"ftp://x\", allowed is an http or https URL"),
            (
                "[server]\ncaBundle = \"relative\"",
                "server.caBundle: found the text \"relative\", allowed is an absolute path"
            ),
            ("[server]\ncaBundle = \"/nonexistent\"", "server.caBundle: found \"/nonexistent\", which does not exist"),
            (
                "[server]\nclientKey = \"/etc/passwd\"",
                "server.clientCertificate: missing, and needed together with server.clientKey"
            ),
            (
                "[download]\nbeforeConsent = \"yes\"",
                "download.beforeConsent: found the text \"yes\", allowed are true and false"
            ),
            (
                "[download]\nsizeLimit = \"big\"",
                "download.sizeLimit: found the text \"big\", allowed is a size of at least 1, such as 65536, \"512K\" or \"8G\""
            ),
            (
                "[verification]\nmode = \"gpg\"",
                "verification.mode: found the text \"gpg\", allowed is one of \"minisign\", \"sha256\", \"none\""
            ),
            ("[verification]\nkeys = [\"abc\"]", "verification.keys: found \"abc\", allowed are minisign public keys"),
            ("[verification]\nkeys = [7]", "verification.keys: found the number 7 in the list, allowed are texts"),
            (
                "[install]\nmodule = \"../../bin/sh\"",
                "install.module: found the text \"../../bin/sh\", allowed is a plain file name"
            ),
            ("[install]\nfiles = {\"../x\" = \"y\"}", "install.files: found \"../x\", allowed is a plain file name"),
            ("[install]\nfiles = {a = 1}", "install.files: found the number 1 for \"a\", allowed are texts"),
            (
                "[install]\nattempts = 0",
                "install.attempts: found the number 0, allowed is a whole number from 1 to 100"
            ),
            (
                "[install.timeouts]\nArtifactInstall = \"soon\"",
                "install.timeouts: ArtifactInstall: found the text \"soon\", allowed is a length of time from 1 s to 7 d, such as \"90s\", \"15min\" or \"6h\""
            ),
            (
                "[install]\nrebootCommand = [\"reboot\"]",
                "install.rebootCommand: found [\"reboot\"], allowed is an absolute path and its arguments, a text each"
            ),
            ("[poll]\nbackOffBase = \"8h\"", "poll.backOffBase: found 8 h, allowed is at most poll.backOffCap, 6 h"),
            ("[state]\ndirectory = 2020-01-01", "state.directory: found the date or time "),
        ])
    func anErrorNamesTheFileTheKeyAndWhatIsAllowed(text: String, line: String) {
        // The text is a drop-in, because TOML forbids the same table twice in a file.
        #expect(throws: Never.self) { try root.write("etc/upgradelinkd/upgradelinkd.toml.d/50-test.toml", text) }
        let complaint = complaint(minimal)
        // A wrong header is in the first line.
        let isHeader = text.hasPrefix("[install.timeouts]") || text.hasPrefix("[pole]")
        let number = text.contains("\n") && !isHeader ? 2 : 1
        #expect(complaint.hasPrefix("\(Self.main).d/50-test.toml:\(number): \(line)"), "\(complaint)")
        #expect(!complaint.contains("\n"))
    }

    @Test func aSyntaxErrorHasItsLine() {
        // The last two failed an assertion in an earlier parser and ended the agent.
        for text in ["[device\nurlKey = 1", "[?device]", "[ \u{6}device]\nurlKey = 1"] {
            #expect(complaint(text).hasPrefix("\(Self.main):1:"), "\(complaint(text))")
        }
    }

    @Test func aMissingOptionIsNamedWithItsRemedy() {
        let all = [
            "credentials.accessKey: missing; set it here, or put it into /etc/credstore/upgradelinkd.accessKey, or set credentials.accessKeyFile",
            "credentials.secretKey: missing; set it here, or put it into /etc/credstore/upgradelinkd.secretKey, or set credentials.secretKeyFile",
            "device.urlKey: missing; set it to the application's urlKey on the server",
            "device.versionFile: missing; set it to the file that says which version is installed, or device.versionCode to a number",
        ]
        func lines(_ count: Int) -> String {
            all.suffix(count).map { "\(Self.main): \($0)" }.joined(separator: "\n")
        }
        #expect(complaint("") == lines(4))
        #expect(complaint("[credentials]\naccessKey = \"a\"\nsecretKey = \"b\"") == lines(2))
        #expect(
            complaint("[credentials]\naccessKey = \"a\"\nsecretKey = \"b\"\n[device]\nurlKey = \"k\"") == lines(1))
    }

    @Test func twoVersionSourcesAreRefused() {
        let text = minimal.replacing("versionCode = 3", with: "versionCode = 3\nversionFile = \"/etc/os-release\"")
        #expect(
            complaint(text)
                == "\(Self.main):8: device.versionFile: found together with device.versionCode, allowed is one of the two"
        )
    }

    @Test func noErrorContainsTheSecret() {
        let text = minimal.replacing("\"very-secret\"", with: "[\"very-secret\"]")
        #expect(
            complaint(text)
                == "\(Self.main):3: credentials.secretKey: found something else, allowed is a text that is not empty")
    }

    // MARK: files and precedence

    @Test func laterFilesTakePrecedence() throws {
        try root.write(
            "usr/lib/upgradelinkd/upgradelinkd.toml",
            "[poll]\ninterval = \"1h\"\nsplay = \"1s\"\nbackOffBase = \"1s\"\nbackOffCap = \"3s\"")
        try root.write(
            "usr/lib/upgradelinkd/upgradelinkd.toml.d/10-vendor.toml", "[poll]\nsplay = \"2s\"\nbackOffBase = \"2s\"")
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/20-site.toml", "[poll]\nbackOffBase = \"3s\"")
        try root.write("usr/lib/upgradelinkd/upgradelinkd.toml.d/30-replaced.toml", "[poll]\ninterval = \"9h\"")
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/30-replaced.toml", "")
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/README", "not toml")
        let settings = try load(minimal + "[poll]\ninterval = \"2h\"")
        #expect(settings.poll == PollSchedule(interval: 7200, splay: 2, backOffBase: 3, backOffCap: 3))
    }

    @Test func credentialsComeFromAFileOrFromSystemd() throws {
        try root.write("credentials/accessKey", "from-systemd\n")
        try root.write("credentials/secretKey", "s1")
        let file = try root.write("secret", "  s2  \n")
        let environment = ["CREDENTIALS_DIRECTORY": "\(root.path)/credentials"]
        let device = "[device]\nurlKey = \"k\"\nversionCode = 1\n[verification]\nkeysDirectory = \"/\"\n"
        let first = try loadBoth(device, environment)
        #expect(first.credentials == Credentials(accessKey: "from-systemd", secretKey: Secret("s1")))
        let second = try loadBoth(device + "[credentials]\nsecretKeyFile = \"\(file)\"", environment)
        #expect(second.credentials.secretKey.value == "s2")
        #expect(
            complaint(device + "[credentials]\nsecretKeyFile = \"/nonexistent\"", environment).contains(
                "credentials.secretKeyFile: cannot open /nonexistent"))
        #expect(complaint(device + "[credentials]\nsecretKeyFile = \"/dev/null\"", environment).contains("is empty"))
    }

    /// The installer does not need the credentials, and reads the configuration without them.
    @Test func theConfigurationCanBeReadWithoutCredentials() throws {
        try root.write(
            "etc/upgradelinkd/upgradelinkd.toml", minimal.replacing(/(accessKey|secretKey) = .*\n/, with: ""))
        #expect(try Settings.load(root: root.path, environment: [:]).device.urlKey == "device")
    }

    @Test func healthChecksAndTheInstallersDirectory() throws {
        let settings = try load(minimal + "[install]\nhealthUnits = [\"player.service\"]\n[state]\ndirectory = \"/s\"")
        #expect(settings.install.healthUnits == ["player.service"])
        #expect(settings.install.healthSettle == 10)
        #expect(
            complaint(minimal + "[install]\nhealthUnits = [\"player@.service\"]").contains("found the template"))
        #expect(
            complaint(minimal + "[install]\nhealthTimeout = \"10s\"\nhealthSettle = \"10s\"").contains(
                "install.healthSettle: it must be shorter than install.healthTimeout"))
        // A time limit of 0.1.0's configuration must stay valid.
        #expect(try load(minimal + "[install]\nhealthTimeout = \"4s\"").install.healthSettle == 2)
        #expect(settings.installerDirectory == "/s/installer")
        #expect(try load(minimal).installerDirectory == "/var/lib/upgradelink-installer")
        #expect(
            complaint(minimal + "[install]\nhealthUnits = [\"--now\"]")
                == "\(Self.main):11: install.healthUnits: found \"--now\", allowed are names of units, such as \"player.service\""
        )
        #expect(
            complaint(minimal + "[install]\nhealthProgram = [\"check\"]")
                == "\(Self.main):11: install.healthProgram: found [\"check\"], allowed is an absolute path and its arguments, a text each"
        )
    }

    /// The units of the operator's files add to those of the vendor's; an empty text drops what is before it.
    @Test func unitsOfAllFilesCountTogether() throws {
        try root.write("usr/lib/upgradelinkd/upgradelinkd.toml", "[install]\nhealthUnits = [\"upgradelinkd.service\"]")
        func units(_ list: String) throws -> [String] {
            try load(minimal + "[install]\nhealthUnits = [\(list)]").install.healthUnits
        }
        #expect(try load(minimal).install.healthUnits == ["upgradelinkd.service"])
        #expect(try units("") == ["upgradelinkd.service"])
        #expect(try units("\"a.service\", \"upgradelinkd.service\"") == ["upgradelinkd.service", "a.service"])
        #expect(try units("\"\", \"a.service\"") == ["a.service"])
        #expect(try units("\"\"").isEmpty)
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/50.toml", "[install]\nhealthUnits = [\"b.service\"]")
        #expect(try units("\"a.service\"") == ["upgradelinkd.service", "a.service", "b.service"])
    }

    @Test func aSecretThatOthersCanReadCausesAWarning() throws {
        #expect(try load().warnings.isEmpty)
        chmod("\(root.path)\(Self.main)", 0o644)
        let warnings = try Settings.load(root: root.path, environment: [:]).warnings
        #expect(warnings.count == 1 && warnings[0].contains("chmod o-r") && !warnings[0].contains("very-secret"))
    }

    @Test func keysAreReadFromTheDirectoryToo() throws {
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
        try root.write("keys/a.pub", "untrusted comment: minisign public key\n\(key)\n")
        try root.write("keys/notes.txt", "nothing")
        let text = minimal.replacing("keysDirectory = \"/\"", with: "keysDirectory = \"\(root.path)/keys\"")
        #expect(try load(text).verification.keys == [key])
        try root.write("keys/b.pub", "garbage")
        #expect(complaint(text) == "/keys/b.pub: it is not a minisign public key")
    }

    @Test func defaultsAreTheDocumentedOnes() throws {
        let settings = try load()
        #expect(settings.server.url == "https://api.upgrade.toolsetlink.com")
        #expect(settings.poll.interval == 6 * 3600)
        #expect(settings.install.directories == ["/usr/lib/upgradelinkd/modules", "/usr/share/mender/modules/v3"])
        #expect(settings.stateDirectory == "/var/lib/upgradelinkd")
        #expect(try load(nil, ["STATE_DIRECTORY": "/s:/t", "CACHE_DIRECTORY": "/c"]).stateDirectory == "/s")
    }

    @Test func theReadmesConfigurationIsValid() throws {
        let readme = String(
            decoding: try Files.read("\(repositoryDirectory)/README.md", limit: 1 << 20), as: UTF8.self)
        let lines = readme.split(separator: "\n", omittingEmptySubsequences: false)
        let first = try #require(lines.firstIndex { $0.hasPrefix("    verification.keys") })
        // Up to the end of the here-document.
        let text = lines[first...].prefix { $0.hasPrefix("    ") && $0 != "    END" }.map { $0.dropFirst(4) }.joined(
            separator: "\n"
        )
        .replacing("RWQ…", with: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")
        let settings = try load(text)
        #expect(settings.warnings == [])
        #expect(settings.install.module == "directory" && settings.verification.keys.count == 1)
    }

    // MARK: the installed version

    /// As real files have it, written by shells, editors and people.
    @Test(
        arguments: [
            "VERSION_CODE=2", "VERSION_CODE=\"2\"", "VERSION_CODE='2'", "export VERSION_CODE=2",
            "export  VERSION_CODE=\"2\"",
            "VERSION_CODE = 2", "  VERSION_CODE=2  ", "\tVERSION_CODE =\t2", "VERSION_CODE=2 # current",
            "VERSION_CODE=\"2\" # c",
            "VERSION_CODE=2\t#c", "\u{FEFF}VERSION_CODE=2", "VERSION_CODE=2\r\nVERSION=4.2\r\n",
            "VERSION_CODE=1\nVERSION_CODE=2",
            " # VERSION_CODE=1\nVERSION_CODE=2", "VERSION_CODE=\" 2 \"", "exportVERSION_CODE=1\nVERSION_CODE=2",
            "A=b\r\r\nVERSION_CODE=2\r",
        ])
    func aVersionFileMayBeWrittenByHand(text: String) throws {
        let file = try root.write("release", text)
        guard case .known(2, _) = VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: nil).read() else {
            Issue.record("\(VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: nil).read())")
            return
        }
    }

    @Test(
        arguments: [
            ("VERSION=\"4.2 (\\\"best\\\")\"", "4.2 (\"best\")"), ("VERSION=4#2", "4#2"),
            ("VERSION='a \\ b'", "a \\ b"),
            ("VERSION=a b # c", "a b"), ("VERSION=\"a # b\"", "a # b"),
        ])
    func theValuesOfAVersionFile(text: String, name: String) throws {
        let file = try root.write("release", "VERSION_CODE=2\n" + text)
        #expect(
            VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: nil).read()
                == .known(versionCode: 2, versionName: name))
    }

    @Test(arguments: [
        "{key}", "\u{FEFF}untrusted comment: x\r\n{key}\r\n\r\n", " \"{key}\" \n", "untrusted comment: x\n  {key}\t\n",
    ])
    func aKeyFileMayBeWrittenByHand(text: String) throws {
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
        try root.write("keys/a.pub", text.replacing("{key}", with: key))
        let settings = try load(
            minimal.replacing("keysDirectory = \"/\"", with: "keysDirectory = \"\(root.path)/keys\""))
        #expect(settings.verification.keys == [key])
    }

    @Test(arguments: ["ak", "\u{FEFF}ak\r\n", "\n  \"ak\"  \n", "'ak'"]) func aCredentialFileMayBeWrittenByHand(
        text: String
    ) throws {
        let file = try root.write("key", text)
        let changed = minimal.replacing("accessKey = \"ak\"", with: "accessKeyFile = \"\(file)\"")
        #expect(changed != minimal)
        #expect(try loadBoth(changed, [:]).credentials.accessKey == "ak")
    }

    @Test func theTemplateOfTheSignaturesAddressIsChecked() {
        #expect(
            complaint(minimal + "signatureUrl = \"{uri}.minisig\"")
                == "\(Self.main):10: verification.signatureUrl: found \"{uri}.minisig\", allowed are text and the placeholders "
                + "{url}, {path}, {query}, {versionCode}, {versionName}")
    }

    @Test func aVersionFileIsReadLikeOsRelease() throws {
        let file = try root.write(
            "release", "# comment\nNAME='Device'\nVERSION_CODE=\"42\"\nVERSION=\"4.2 \u{1B}[1m\"\n")
        // As a shell does it, only a word begins a comment.
        try root.write("names", "VERSION_CODE=2 # two\nVERSION=2#b # the second\nEMPTY=#\n")
        func name(_ key: String) -> VersionSource {
            .file(path: "\(root.path)/names", codeKey: "VERSION_CODE", nameKey: key)
        }
        #expect(name("VERSION").read() == .known(versionCode: 2, versionName: "2#b"))
        #expect(name("EMPTY").read() == .known(versionCode: 2, versionName: ""))
        let source = VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: nil)
        #expect(source.read() == .known(versionCode: 42, versionName: "4.2  [1m"))
        #expect(
            VersionSource.file(path: file, codeKey: "OTHER", nameKey: nil).read()
                == .unknown("\(file) has no line OTHER=… (device.versionCodeKey)"))
        try root.write("release", "VERSION_CODE=zero")
        #expect(source.read() == .unknown("VERSION_CODE in \(file) is \"zero\", not a positive number"))
        #expect(
            VersionSource.file(path: "/nonexistent", codeKey: "A", nameKey: nil).read()
                == .unknown("cannot open /nonexistent: No such file or directory (device.versionFile)"))
    }
}
