import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Configuration

/// Every option reaches its setting, and every default is what the documents say.
@Suite struct SettingTests {
    private let root: Scratch
    private static let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"

    init() throws { root = try Scratch() }

    private func load(
        _ text: String, _ environment: [String: String] = [:]
    ) throws(ConfigurationErrors) -> (settings: Settings, credentials: Credentials) {
        do { try root.write("etc/upgradelinkd/upgradelinkd.toml", text) } catch { Issue.record("\(error)") }
        return try Settings.loadWithCredentials(root: root.path, environment: environment)
    }

    private func complaint(_ more: String, without: String = "") -> String {
        do throws(ConfigurationErrors) {
            _ = try load(Self.minimal.replacing(without, with: "") + more)
            return "none"
        } catch {
            return error.errors.map { "\($0.key): \($0.problem)" }.joined(separator: "\n")
        }
    }

    private static let minimal = """
        credentials.accessKey = "ak"
        credentials.secretKey = "sk"
        device.urlKey = "u"
        device.versionCode = 3
        verification.keysDirectory = "/"

        """

    @Test func everyDefaultIsAsDocumented() throws {
        let settings = try load(Self.minimal).settings
        #expect(
            settings.server
                == ServerConnection(url: "https://api.upgrade.toolsetlink.com", connectTimeout: 30, requestTimeout: 60))
        #expect(
            settings.device
                == DeviceSettings(
                    urlKey: "u", devModelKey: nil, devKey: nil, interface: nil, devKeyFormat: .hex, devKeySalt: "",
                    appointVersionCode: nil, version: .fixed(versionCode: 3, versionName: nil)))
        #expect(
            settings.poll == PollSchedule(interval: 21_600, splay: 21_600, backOffBase: 900, backOffCap: 21_600))
        #expect(
            settings.download
                == DownloadSettings(
                    directory: "/var/cache/upgradelinkd", speedLimit: 0, sizeLimit: 8 << 30, keepFree: 64 << 20,
                    lowSpeed: 1024, lowSpeedTime: 60, timeout: 86_400, beforeConsent: true,
                    priority: DownloadPriority(ioClass: .idle, nice: 10, flushEvery: 4 << 20, keepCache: nil)))
        #expect(
            settings.verification
                == VerificationPolicy(
                    mode: .minisign, keys: [], sidecarURL: "{url}.minisig", requireVersionCode: true))
        #expect(
            settings.install
                == ModuleSettings(
                    module: "file", directories: ["/usr/lib/upgradelinkd/modules", "/usr/share/mender/modules/v3"],
                    fileName: "artifact", files: [:], metaData: "{}", timeout: 1800, timeouts: [:], attempts: 3,
                    retryDelay: 600, windows: [], windowLimit: 259_200, missedWindows: .idle, idleTime: 1800,
                    gracePeriod: 300, inhibitLimit: 3600, deferrals: 3, reboot: .immediate,
                    rebootCommand: ["/usr/bin/systemctl", "reboot", "--check-inhibitors=no"], rebootTimeout: 300,
                    healthProgram: [], healthUnits: [], restartUnits: [], healthSettle: 10, healthTimeout: 300,
                    needsNetwork: false))
        #expect(settings.stateDirectory == "/var/lib/upgradelinkd")
        #expect(settings.installerDirectory == "/var/lib/upgradelink-installer")
        #expect(settings.metricsFile == nil && settings.warnings == [])
    }

    @Test func everyOptionReachesItsSetting() throws {
        let file = try root.write("pem", "x")
        let (settings, credentials) = try load(
            """
            [server]
            url = "https://s/x"
            signingPath = "/signed"
            caBundle = "\(file)"
            clientCertificate = "\(file)"
            clientKey = "\(file)"
            proxy = "http://p:1"
            connectTimeout = 11
            requestTimeout = 12
            [credentials]
            accessKey = "a1"
            secretKey = "s1"
            [device]
            urlKey = "u1"
            devModelKey = "m1"
            devKey = "d1"
            interface = "i1"
            devKeyFormat = "sha256"
            devKeySalt = "salt"
            appointVersionCode = 13
            versionFile = "/v"
            versionCodeKey = "C"
            versionNameKey = "N"
            [poll]
            interval = 14
            splay = 15
            backOffBase = 16
            backOffCap = 17
            [download]
            directory = "/d"
            speedLimit = 18
            sizeLimit = 19
            keepFree = 20
            lowSpeed = 21
            lowSpeedTime = 22
            timeout = 62
            beforeConsent = false
            ioClass = "best-effort"
            nice = 5
            flushEvery = 23
            keepCache = 24
            [verification]
            keys = ["\(Self.key)"]
            keysDirectory = "\(root.path)"
            signatureUrl = "{url}.sig"
            requireVersionCode = false
            [install]
            module = "m"
            moduleDirectories = ["/m"]
            fileName = "f"
            files = { a = "b" }
            metaData = { c = 1 }
            timeout = 25
            timeouts = { Cleanup = 26 }
            network = true
            attempts = 27
            retryDelay = 28
            windows = ["02:00-05:00"]
            windowLimit = 29
            missedWindows = "wait"
            idleTime = 30
            gracePeriod = 31
            inhibitLimit = 32
            deferrals = 33
            reboot = "ask"
            rebootCommand = ["/r"]
            rebootTimeout = 34
            restartUnits = ["r.service"]
            healthProgram = ["/h"]
            healthUnits = ["h.service"]
            healthSettle = 35
            healthTimeout = 36
            [state]
            directory = "/s"
            installerDirectory = "/i"
            [metrics]
            file = "/m.prom"
            """)
        #expect(credentials == Credentials(accessKey: "a1", secretKey: Secret("s1")))
        #expect(
            settings.server
                == ServerConnection(
                    url: "https://s/x", signingPath: "/signed", caBundle: file, clientCertificate: file,
                    clientKey: file, proxy: try ProxyURL("http://p:1"), connectTimeout: 11, requestTimeout: 12))
        #expect(
            settings.device
                == DeviceSettings(
                    urlKey: "u1", devModelKey: "m1", devKey: "d1", interface: "i1", devKeyFormat: .sha256,
                    devKeySalt: "salt", appointVersionCode: 13,
                    version: .file(path: "/v", codeKey: "C", nameKey: "N")))
        #expect(settings.poll == PollSchedule(interval: 14, splay: 15, backOffBase: 16, backOffCap: 17))
        #expect(
            settings.download
                == DownloadSettings(
                    directory: "/d", speedLimit: 18, sizeLimit: 19, keepFree: 20, lowSpeed: 21, lowSpeedTime: 22,
                    timeout: 62, beforeConsent: false,
                    priority: DownloadPriority(ioClass: .bestEffort, nice: 5, flushEvery: 23, keepCache: 24)))
        #expect(
            settings.verification
                == VerificationPolicy(
                    mode: .minisign, keys: [Self.key], sidecarURL: "{url}.sig", requireVersionCode: false))
        #expect(
            settings.install
                == ModuleSettings(
                    module: "m", directories: ["/m"], fileName: "f", files: ["a": "b"], metaData: "{\"c\":1}",
                    timeout: 25, timeouts: ["Cleanup": 26], attempts: 27, retryDelay: 28,
                    windows: [try #require(MaintenanceWindow("02:00-05:00"))], windowLimit: 29, missedWindows: .wait,
                    idleTime: 30, gracePeriod: 31, inhibitLimit: 32, deferrals: 33, reboot: .ask,
                    rebootCommand: ["/r"], rebootTimeout: 34, healthProgram: ["/h"], healthUnits: ["h.service"],
                    restartUnits: ["r.service"], healthSettle: 35, healthTimeout: 36, needsNetwork: true))
        #expect(settings.stateDirectory == "/s" && settings.installerDirectory == "/i")
        #expect(settings.metricsFile == "/m.prom")
    }

    @Test func theEnvironmentOfTheServiceGivesDirectories() throws {
        let environment = ["STATE_DIRECTORY": "/s:/t", "CACHE_DIRECTORY": "/c:/d"]
        let settings = try load(Self.minimal, environment).settings
        #expect(settings.stateDirectory == "/s" && settings.download.directory == "/c")
        // That of the installer is not below a directory that another user owns.
        #expect(settings.installerDirectory == "/var/lib/upgradelink-installer")
        let own = try load(Self.minimal + "state.directory = \"/x\"\ndownload.directory = \"/y\"", environment).settings
        #expect(
            own.stateDirectory == "/x" && own.download.directory == "/y" && own.installerDirectory == "/x/installer")
    }

    // MARK: what belongs together

    @Test(arguments: [
        ("poll.backOffBase = 60\npoll.backOffCap = 60", "none"),
        ("poll.backOffBase = 61\npoll.backOffCap = 60", "poll.backOffBase: found 1 min, allowed is at most"),
        ("install.healthSettle = 59\ninstall.healthTimeout = 60", "none"),
        ("install.healthSettle = 60\ninstall.healthTimeout = 60", "install.healthSettle: it must be shorter"),
        ("server.clientKey = \"/etc/passwd\"", "server.clientCertificate: missing"),
        ("server.clientCertificate = \"/etc/passwd\"", "server.clientKey: missing"),
        (
            "server.clientCertificate = \"/etc/passwd\"\nserver.clientKey = \"/nonexistent\"",
            "server.clientKey: found \"/nonexistent\""
        ),
        (
            "server.clientCertificate = \"/nonexistent\"\nserver.clientKey = \"/etc/passwd\"",
            "server.clientCertificate: found \"/nonexistent\""
        ),
        ("device.versionFile = \"/v\"", "device.versionFile: found together with device.versionCode"),
        ("device.devKeyFormat = \"sha256\"", "device.devKeySalt: missing"),
        ("device.devKeyFormat = \"sha256\"\ndevice.devKeySalt = \"s\"", "none"),
        (
            "credentials.accessKeyFile = \"/etc/passwd\"",
            "credentials.accessKeyFile: found together with credentials.accessKey"
        ),
        (
            "credentials.secretKeyFile = \"/etc/passwd\"",
            "credentials.secretKeyFile: found together with credentials.secretKey"
        ),
        ("install.files = { artifact = \"x\" }", "install.files: found \"artifact\""),
        ("install.files = { artifact = \"x\" }\ninstall.fileName = \"a\"", "none"),
        ("install.restartUnits = [\"upgradelink-installer.service\"]", "install.restartUnits: found"),
        ("install.restartUnits = [\"upgradelinkd.service\"]", "none"),
        ("verification.signatureUrl = \"{nothing}\"", "verification.signatureUrl: found"),
    ])
    func optionsThatExcludeOrNeedEachOther(text: String, start: String) {
        let found = complaint(text)
        #expect(found.hasPrefix(start), "\(found)")
        #expect(!found.contains("\n"), "\(found)")
    }

    @Test func aHealthCheckOfAShortTimeHasAShortSettle() throws {
        func settle(_ text: String) throws -> Seconds { try load(Self.minimal + text).settings.install.healthSettle }
        #expect(try settle("install.healthTimeout = 20") == 10)
        #expect(try settle("install.healthTimeout = 19") == 9.5)
        #expect(try settle("install.healthTimeout = 19\ninstall.healthSettle = 18") == 18)
    }

    @Test func aPinnedVersionOfZeroIsTheLatest() throws {
        #expect(try load(Self.minimal + "device.appointVersionCode = 0").settings.device.appointVersionCode == nil)
        #expect(try load(Self.minimal + "device.appointVersionCode = 1").settings.device.appointVersionCode == 1)
    }

    @Test func eachModeHasItsOwnSidecar() throws {
        func policy(_ mode: String) throws -> VerificationPolicy {
            try load(Self.minimal + "verification.mode = \"\(mode)\"\nverification.keys = [\"\(Self.key)\"]").settings
                .verification
        }
        #expect(try policy("minisign").sidecarURL == "{url}.minisig" && policy("minisign").keys == [Self.key])
        #expect(try policy("sha256").sidecarURL == "{url}.sha256" && policy("sha256").keys == [])
        #expect(try policy("none").mode == .none && policy("none").keys == [])
    }

    // MARK: files of keys

    /// A key of another length, of another algorithm, and what is no base64.
    @Test(arguments: [
        (key, true), ("  \"\(key)\"  ", true), (String(key.dropLast(4)), false), (key + "AAAA", false),
        ("RUQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", false), ("?", false), ("", false),
    ])
    func aPublicKeyHas42Bytes(text: String, isKey: Bool) throws {
        let quoted = text.replacing("\"", with: "\\\"")
        #expect((complaint("verification.keys = [\"\(quoted)\"]") == "none") == isKey)
        try root.write("keys/a.pub", text)
        let found = complaint(
            "verification.keysDirectory = \"\(root.path)/keys\"", without: "verification.keysDirectory = \"/\"\n")
        #expect((found == "none") == isKey, "\(found)")
    }

    /// A file of keys, or of a secret, has 4096 bytes at most.
    @Test(arguments: [0, 1]) func aKeyFileIsLimited(excess: Int) throws {
        func padded(_ text: String) -> String {
            text + String(repeating: "\n", count: 4096 + excess - text.utf8.count)
        }
        try root.write("keys/a.pub", padded(Self.key))
        let directory = complaint(
            "verification.keysDirectory = \"\(root.path)/keys\"", without: "verification.keysDirectory = \"/\"\n")
        #expect(excess == 0 ? directory == "none" : directory.contains("File too large"), "\(directory)")
        let file = try root.write("secret", padded("s"))
        let secret = complaint("credentials.secretKeyFile = \"\(file)\"", without: "credentials.secretKey = \"sk\"\n")
        #expect(excess == 0 ? secret == "none" : secret.contains("File too large"), "\(secret)")
    }

    @Test func aKeyDirectoryThatIsMissingIsAnErrorOnlyIfItIsNamed() {
        let named = complaint(
            "verification.keysDirectory = \"/nonexistent\"", without: "verification.keysDirectory = \"/\"\n")
        #expect(named.hasPrefix("verification.keysDirectory: cannot list /nonexistent"), "\(named)")
    }

    @Test(arguments: [
        ("a\nb", "found a line break within the key"), ("a\u{7}b", "found a control character (U+0007)"),
        ("\n \n", "is empty"),
        ("", "is empty"),
    ])
    func aFileWithoutOneKeyIsRefused(text: String, reason: String) throws {
        let file = try root.write("secret", text)
        for name in ["secretKey", "accessKey"] {
            let line = name == "secretKey" ? "credentials.secretKey = \"sk\"\n" : "credentials.accessKey = \"ak\"\n"
            let found = complaint("credentials.\(name)File = \"\(file)\"", without: line)
            #expect(found.hasPrefix("credentials.\(name)File: ") && found.contains(reason), "\(found)")
        }
    }

    @Test func aKeyFileThatIsNoTextIsRefused() throws {
        try Files.replace("\(root.path)/secret", with: [0x61, 0xFF])
        let found = complaint(
            "credentials.secretKeyFile = \"\(root.path)/secret\"", without: "credentials.secretKey = \"sk\"\n")
        #expect(found.contains("is not UTF-8 text"), "\(found)")
    }

    // MARK: files of the configuration

    /// One mebibyte is read, and a longer file is an error as a whole.
    @Test(arguments: [0, 1]) func aConfigurationFileIsLimited(excess: Int) {
        let padding = String(repeating: "#", count: (1 << 20) + excess - Self.minimal.utf8.count)
        let found = complaint(padding)
        #expect(excess == 0 ? found == "none" : found.contains("it cannot be read: File too large"), "\(found)")
    }

    @Test func onlyDropInsWithTheirEndingCount() throws {
        for name in [".hidden.toml", "a.toml.bak", "a.tom", "toml"] {
            try root.write("etc/upgradelinkd/upgradelinkd.toml.d/\(name)", "nonsense")
        }
        #expect(complaint("") == "none")
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/a.toml", "nonsense")
        #expect(complaint("") != "none")
    }

    @Test func theFileOfAKeyThatOthersCanReadCausesAWarning() throws {
        let file = try root.write("pem", "x")
        let text =
            Self.minimal.replacing("credentials.secretKey = \"sk\"\n", with: "")
            + "credentials.secretKeyFile = \"\(file)\"\nserver.clientKey = \"\(file)\"\nserver.clientCertificate = \"\(file)\""
        #expect(try load(text).settings.warnings == [])
        for (mode, count) in [(0o640, 0), (0o604, 2), (0o644, 2)] as [(mode_t, Int)] {
            chmod(file, mode)
            #expect(try load(text).settings.warnings.count == count)
        }
    }

    // MARK: the installed version

    @Test(arguments: [
        ("VERSION_CODE=1", 1), ("VERSION_CODE=0", nil), ("VERSION_CODE=-1", nil), ("VERSION_CODE=1.0", nil),
        ("VERSION_CODE=9223372036854775807", Int.max), ("VERSION_CODE=9223372036854775808", nil),
        ("VERSION_CODE=", nil),
    ])
    func anInstalledVersionIsAPositiveNumber(text: String, code: Int?) throws {
        let file = try root.write("release", text + "\n")
        let found = VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: nil).read()
        if case .known(let found, _) = found { #expect(found == code) } else { #expect(code == nil) }
    }

    @Test func theNameOfAVersionHasItsKey() throws {
        let file = try root.write("release", "VERSION_CODE=1\nVERSION_ID=id\nOWN=own\n")
        func name(_ key: String?) -> InstalledVersion {
            VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: key).read()
        }
        #expect(name("OWN") == .known(versionCode: 1, versionName: "own"))
        #expect(name(nil) == .known(versionCode: 1, versionName: "id"))
        #expect(name("NONE") == .known(versionCode: 1, versionName: "id"))
        try root.write("release", "VERSION_CODE=1\n")
        #expect(name(nil) == .known(versionCode: 1, versionName: nil))
    }

    @Test(arguments: [0, 1]) func aVersionFileIsLimited(excess: Int) throws {
        let text = "VERSION_CODE=2\n"
        let file = try root.write("release", text + String(repeating: "#", count: 65_536 + excess - text.utf8.count))
        let found = VersionSource.file(path: file, codeKey: "VERSION_CODE", nameKey: nil).read()
        if case .known(2, nil) = found { #expect(excess == 0) } else { #expect(excess == 1) }
    }
}
