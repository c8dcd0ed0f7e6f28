import ArgumentParser
import Configuration
import Glibc
import Host
import UpdateCore
import Verification

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who signed a file, and for which version, without installing it.",
        discussion: """
            The signature must be next to the file, as FILE.minisig. It needs to read the configuration and the keys, and root only \
            if they are readable for root only. With --public-key it needs no configuration, so that a publisher can use it too.

            Exit status: 0 verified; 1 not verified, for the reason on standard error; 66 there is no such file; 77 the keys cannot \
            be read; 78 the configuration is wrong.
            """)

    @Argument(help: "The artifact.", completion: .file())
    var file: String

    @Option(help: ArgumentHelp("The signature, instead of FILE.minisig.", valueName: "file"), completion: .file())
    var signature: String?

    @Option(
        name: .customLong("public-key"),
        help: ArgumentHelp(
            "A minisign public key file to verify with, instead of the configured keys. Can be repeated.",
            valueName: "file"), completion: .file())
    var publicKeys: [String] = []

    @Option(help: ArgumentHelp("Read the files below this directory instead of /.", valueName: "directory"))
    var root = "/"

    @OptionGroup var json: JSONOption

    func run() throws {
        if let problem = CryptoLibrary.problem { throw failure(problem, EX_UNAVAILABLE) }
        let device: VerifyingDevice
        do throws(VerifyingDevice.Problem) {
            device = try VerifyingDevice(root: root, publicKeys: publicKeys)
        } catch {
            throw failure(error.line, error.exitStatus)
        }
        let artifact: OpenFile
        do throws(SystemError) {
            artifact = try OpenFile(file, O_RDONLY | O_NONBLOCK)
            try artifact.requireRegular()
        } catch {
            throw failure("\(error)", EX_NOINPUT)
        }
        do {
            let sidecar = try Files.read(signature ?? "\(file).minisig", limit: maximumSidecarBytes)
            let report = try device.verify(artifact, sidecar)
            if let form = json.form { return try printJSON(report, as: form) }
            report.lines.forEach { say($0) }
        } catch {
            if let form = json.form { try printJSON(Refusal(file: file, reason: "\(error)"), as: form) }
            throw failure("\(file) is not verified: \(error)", 1)
        }
    }

    private func failure(_ line: String, _ status: CInt) -> ExitCode {
        complain("\(line)")
        return ExitCode(status)
    }

    private struct Refusal: Encodable {
        var file: String
        var isVerified = false
        var reason: String

        private enum CodingKeys: String, CodingKey {
            case file, reason
            case isVerified = "verified"
        }
    }
}

/// The keys to verify with, and what is known about the device.
struct VerifyingDevice {
    struct Problem: Error {
        var line: String
        var exitStatus: CInt
    }

    /// Nil if only public keys are given, and there is no configuration that can be read.
    private let settings: Settings?
    private let keys: [String]
    /// The files of `keys`.
    private let origins: [String]
    private let requiresVersionCode: Bool

    init(root: String, publicKeys: [String]) throws(Problem) {
        let loaded = Self.load(root)
        if !publicKeys.isEmpty {
            settings = try? loaded.get()
            (keys, origins) = (try publicKeys.map(Self.readKey), publicKeys)
        } else {
            let found: Settings
            switch loaded {
            case .success(let value): found = value
            case .failure(let problem): throw problem
            }
            guard found.verification.mode == .minisign else {
                let mode = found.verification.mode.rawValue
                throw Problem(
                    line: "verification.mode is \"\(mode)\", so there are no keys: use --public-key", exitStatus: 1)
            }
            settings = found
            keys = found.verification.keys
            let files = Self.keyFiles(root)
            origins = keys.map { key in files.first { $0.key == key }?.file ?? "verification.keys" }
        }
        requiresVersionCode = settings?.verification.requireVersionCode ?? true
    }

    private static func load(_ root: String) -> Result<Settings, Problem> {
        do throws(ConfigurationErrors) {
            return .success(try Settings.load(root: root, environment: Environment.current))
        } catch {
            // A missing right does not hide what is wrong for root, too.
            if error.errors.contains(where: UnreadableFile.causes),
                let denied = UnreadableFile.first(root: root, withKeys: true)
            {
                let others = error.errors.filter { !UnreadableFile.causes($0) }.map { "; \($0)" }
                return .failure(Problem(line: denied.line + others.joined(), exitStatus: EX_NOPERM))
            }
            return .failure(Problem(line: "\(error)", exitStatus: EX_CONFIG))
        }
    }

    private static func readKey(_ file: String) throws(Problem) -> String {
        let text: String
        do throws(SystemError) {
            text = String(decoding: try Files.read(file, limit: 4096), as: UTF8.self)
        } catch {
            throw Problem(line: "\(error)", exitStatus: EX_NOINPUT)
        }
        guard MinisignKey(text) != nil else {
            throw Problem(line: "\(file) is not a minisign public key", exitStatus: EX_NOINPUT)
        }
        return text
    }

    /// The key files of `verification.keysDirectory`, and the file that sets `verification.keys`.
    private static func keyFiles(_ root: String) -> [(key: String, file: String)] {
        guard let entries = try? EffectiveConfiguration(root: root).entries else { return [] }
        let directory =
            entries.first { $0.key == "verification.keysDirectory" }?.value
            .flatMap { try? JSONLine.decode(String.self, from: Array($0.utf8)) } ?? "/etc/upgradelinkd/keys.d"
        let names = (try? Files.list(directory)) ?? []
        let files = names.filter { $0.hasSuffix(".pub") }.compactMap { name -> (key: String, file: String)? in
            let file = "\(directory)/\(name)"
            guard let bytes = try? Files.read(file, limit: 4096) else { return nil }
            let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
            return lines.last { !String($0).unquoted.isEmpty }.map { (String($0).unquoted, file) }
        }
        guard let inline = entries.first(where: { $0.key == "verification.keys" }), let file = inline.file else {
            return files
        }
        let listed = inline.value.flatMap { try? JSONLine.decode([String].self, from: Array($0.utf8)) } ?? []
        return files + listed.map { ($0.unquoted, file) }
    }

    func verify(_ artifact: OpenFile, _ sidecar: [UInt8]) throws -> VerifiedFile {
        let verifier = try ArtifactVerifier(
            VerificationPolicy(
                mode: .minisign, keys: keys, sidecarURL: "{url}.minisig", requireVersionCode: requiresVersionCode))
        let statement = try verifier.statement(sidecar)
        if requiresVersionCode { _ = try verifier.claimedVersion(sidecar) }
        // Without a configuration, nothing is known with which the comment could be compared.
        let offer = Offer(
            file: artifact.path, urlKey: settings?.device.urlKey ?? statement.urlKey ?? "",
            versionCode: statement.versionCode ?? 0)
        let expectation = try verifier.expectation(
            sidecar: sidecar, offer: offer,
            devModelKey: settings == nil ? statement.devModelKey : settings?.device.devModelKey)
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var size: ByteCount = 0
        while case let count = try artifact.read(into: &buffer), count > 0 {
            expectation.digest?.add(buffer.span.extracting(first: count).bytes)
            size += ByteCount(count)
        }
        try expectation.verify()
        let key = keys.firstIndex { MinisignKey($0) == statement.key }
        return VerifiedFile(
            file: artifact.path, size: size, statement, keyFile: key.map { origins[$0] },
            device: settings.map { DeviceVerdict($0, offer, statement) } ?? .unknown)
    }
}

/// Whether this device would install a verified file, as far as this process can know.
struct DeviceVerdict {
    /// Nil if nothing is known about the device.
    var accepts: Bool?
    /// Why it refuses, or what is not known.
    var notes: [String]

    static let unknown = DeviceVerdict(
        accepts: nil, notes: ["the device's configuration was not read, so urlKey and version were not compared"])

    private init(accepts: Bool?, notes: [String]) {
        self.accepts = accepts
        self.notes = notes
    }

    init(_ settings: Settings, _ offer: Offer, _ statement: SignatureStatement) {
        guard statement.versionCode != nil else {
            self.init(
                accepts: false, notes: ["its comment names no versionCode, which upgradelinkctl install requires"])
            return
        }
        let installed = settings.device.version.read()
        let pinned = settings.device.appointVersionCode
        let policy = Policy(schedule: settings.poll, urlKey: settings.device.urlKey, appointVersionCode: pinned)
        let context = Context(
            now: Clock.bootTime, bootID: "", wallClock: Clock.wallTime, buildTime: Clock.buildTime,
            installed: installed,
            policy: policy, seed: 0)
        if let refusal = refusal(of: offer, AgentState(), context) {
            self.init(accepts: false, notes: ["\(refusal)"])
            return
        }
        var notes: [String] = []
        if case .unknown(let reason) = installed { notes.append("the installed version is unknown: \(reason)") }
        switch Self.floor(settings) {
        case .success(let floor?) where offer.versionCode < floor && offer.versionCode != pinned:
            self.init(
                accepts: false,
                notes: [
                    "versionCode \(offer.versionCode) is below \(floor), the highest one that was committed on this device or "
                        + "that a signature requires; a downgrade needs device.appointVersionCode"
                ])
            return
        case .success: break
        case .failure(let error):
            notes.append("the lowest version that the installer accepts is not known: \(error)")
        }
        self.init(accepts: true, notes: notes)
    }

    private struct Floors: Decodable {
        struct Entry: Decodable {
            var urlKey: String
            var versionCode: Int
        }
        var floors: [Entry]?
    }

    /// The lowest version that the installer accepts, by its file `floor.json`; nil if there is none.
    private static func floor(_ settings: Settings) -> Result<Int?, SystemError> {
        do throws(SystemError) {
            let bytes = try Files.read("\(settings.installerDirectory)/floor.json", limit: 65_536)
            let floors = (try? JSONLine.decode(Floors.self, from: bytes))?.floors ?? []
            return .success(floors.first { $0.urlKey == settings.device.urlKey }?.versionCode)
        } catch {
            return error.isNotFound ? .success(nil) : .failure(error)
        }
    }
}

/// The result of `upgradelinkctl verify`.
struct VerifiedFile: Encodable {
    private let file: String
    private let size: ByteCount
    private let isVerified = true
    private let keyID: String
    private let keyFile: String?
    private let trustedComment: String
    private let versionCode: Int?
    private let urlKey: String?
    private let devModelKey: String?
    private let minVersionCode: Int?
    private let isAccepted: Bool?
    private let notes: [String]

    init(file: String, size: ByteCount, _ statement: SignatureStatement, keyFile: String?, device: DeviceVerdict) {
        self.file = file
        self.size = size
        keyID = statement.key.name
        self.keyFile = keyFile
        trustedComment = statement.trustedComment
        versionCode = statement.versionCode
        urlKey = statement.urlKey
        devModelKey = statement.devModelKey
        minVersionCode = statement.minVersionCode
        isAccepted = device.accepts
        notes = device.notes
    }

    private enum CodingKeys: String, CodingKey {
        case file, size, keyID, keyFile, trustedComment, versionCode, urlKey, devModelKey, minVersionCode, notes
        case isVerified = "verified"
        case isAccepted = "accepted"
    }

    /// With null for what there is not.
    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(file, forKey: .file)
        try fields.encode(size, forKey: .size)
        try fields.encode(isVerified, forKey: .isVerified)
        try fields.encode(keyID, forKey: .keyID)
        try fields.encode(keyFile, forKey: .keyFile)
        try fields.encode(trustedComment, forKey: .trustedComment)
        try fields.encode(versionCode, forKey: .versionCode)
        try fields.encode(urlKey, forKey: .urlKey)
        try fields.encode(devModelKey, forKey: .devModelKey)
        try fields.encode(minVersionCode, forKey: .minVersionCode)
        try fields.encode(isAccepted, forKey: .isAccepted)
        try fields.encode(notes, forKey: .notes)
    }

    var lines: [Shown] {
        let none: Shown = "not named"
        let device: Shown =
            switch isAccepted {
            case true?: Terminal.paint("would install it", .green)
            case false?: Terminal.paint("would not install it", .yellow)
            case nil: "unknown"
            }
        let rows: [(name: Shown, value: Shown)] = [
            ("Verified", "\(Terminal.paint("yes", .green)), \(file), \(describe(bytes: size))"),
            ("Key", "\(keyID)\(keyFile.map { ", \($0)" as Shown } ?? "")"),
            ("Comment", "\(trustedComment)"),
            ("Version", versionCode.map { "code \($0)" } ?? none),
            ("urlKey", urlKey.map { "\($0)" } ?? none),
            ("devModelKey", devModelKey.map { "\($0)" } ?? none),
            ("Minimum", minVersionCode.map { "code \($0); older versions are refused after it" } ?? none),
            ("This device", device),
        ]
        return rows.map { name, value in ("\(name):" as Shown).padding(to: 14) + value }
            + notes.map { "              \($0)" }
    }
}
