/// How a version is installed: the server's `upgradeType`.
public enum UpgradeType: Codable, Hashable, Sendable {
    /// 1: install after the user's consent.
    case prompt
    /// 2: install without consent, in a maintenance window.
    case silent
    /// 3: install without consent after the grace period.
    case forced
    /// A code that the API does not define (0, or a later addition): handled as ``prompt``, with a warning.
    case unknown(Int)

    public init(code: Int) {
        self =
            switch code {
            case 1: .prompt
            case 2: .silent
            case 3: .forced
            default: .unknown(code)
            }
    }

    public var needsConsent: Bool {
        switch self {
        case .prompt, .unknown: true
        case .silent, .forced: false
        }
    }

    /// The name for programs: ``name``, or `unknown` without the code.
    public var word: String {
        if case .unknown = self { "unknown" } else { name }
    }

    public var name: String {
        switch self {
        case .prompt: "prompt"
        case .silent: "silent"
        case .forced: "forced"
        case .unknown(let code): "unknown (\(code))"
        }
    }
}

/// The content of an update check: the device and its installed version.
public struct CheckRequest: Codable, Hashable, Sendable {
    public var urlKey: String
    /// The installed versionCode; the server refuses 0.
    public var versionCode: Int
    /// The version that the operator pinned; nil for the latest.
    public var appointVersionCode: Int?
    public var devModelKey: String?
    public var devKey: String?

    public init(
        urlKey: String, versionCode: Int, appointVersionCode: Int? = nil, devModelKey: String? = nil,
        devKey: String? = nil
    ) {
        self.urlKey = urlKey
        self.versionCode = versionCode
        self.appointVersionCode = appointVersionCode
        self.devModelKey = devModelKey
        self.devKey = devKey
    }
}

/// The fields of a granted reply. Their types are right, their values not yet checked.
public struct OfferFields: Codable, Hashable, Sendable {
    public var urlKey: String
    public var versionName: String
    public var versionCode: Int
    public var urlPath: String
    public var upgradeType: Int
    public var promptUpgradeContent: String

    public init(
        urlKey: String, versionName: String, versionCode: Int, urlPath: String, upgradeType: Int,
        promptUpgradeContent: String
    ) {
        self.urlKey = urlKey
        self.versionName = versionName
        self.versionCode = versionCode
        self.urlPath = urlPath
        self.upgradeType = upgradeType
        self.promptUpgradeContent = promptUpgradeContent
    }
}

/// A version that the server offers, checked against the request.
public struct Offer: Codable, Hashable, Sendable {
    public let urlKey: String
    public let versionName: String
    public let versionCode: Int
    public let urlPath: String
    public let upgradeType: UpgradeType
    /// Text for the user: at most 4,096 characters, no control characters.
    public let promptUpgradeContent: String

    /// - Throws: ``OfferRefusal`` if the urlKey is another one, the version is neither newer nor pinned, or the URL is unusable.
    public init(_ fields: OfferFields, respondingTo checkRequest: CheckRequest) throws(OfferRefusal) {
        guard fields.urlKey == checkRequest.urlKey else {
            throw .foreignUrlKey(found: fields.urlKey.sanitized(limit: 64), expected: checkRequest.urlKey)
        }
        guard fields.versionCode > 0 else { throw .invalidVersionCode(fields.versionCode) }
        guard
            fields.versionCode > checkRequest.versionCode || fields.versionCode == checkRequest.appointVersionCode
        else {
            throw .notNewer(offered: fields.versionCode, installed: checkRequest.versionCode)
        }
        let url: WebURL
        do throws(WebURL.Problem) { url = try WebURL(repairing: fields.urlPath) } catch {
            throw .unusableURL("\(error) (\"\(fields.urlPath.withoutUserInfo.sanitized(limit: 200))\")")
        }
        urlKey = fields.urlKey
        versionCode = fields.versionCode
        urlPath = url.text
        upgradeType = UpgradeType(code: fields.upgradeType)
        let name = fields.versionName.sanitized(limit: 128)
        versionName = name.isEmpty ? "\(fields.versionCode)" : name
        promptUpgradeContent = fields.promptUpgradeContent.sanitized(limit: 4096)
    }

    /// An offer from a local file, with what the file's signature claims.
    public init(file name: String, urlKey: String, versionCode: Int) {
        self.urlKey = urlKey
        self.versionCode = versionCode
        versionName = "\(versionCode)"
        urlPath = "file://\(name.sanitized(limit: 4096))"
        upgradeType = .prompt
        promptUpgradeContent = ""
    }

    private enum CodingKeys: String, CodingKey {
        case urlKey, versionName, versionCode, urlPath, upgradeType, promptUpgradeContent
    }

    /// Reads an offer from a stored file or from another process, with the limits of the other initialisers. Only urlKey,
    /// versionCode and urlPath are required.
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        urlKey = try fields.required(.urlKey)
        versionCode = try fields.required(.versionCode)
        let address: String = try fields.required(.urlPath)
        guard urlKey.utf8.count <= Self.maximumKeyBytes, versionCode > 0,
            WebURL(address) != nil || Self.isLocal(address)
        else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "neither a version nor an address"))
        }
        urlPath = address
        // An upgradeType that only another version knows needs the user's consent.
        upgradeType = fields.value(.upgradeType, or: .unknown(0))
        let name = fields.value(.versionName, or: "").sanitized(limit: 128)
        versionName = name.isEmpty ? "\(versionCode)" : name
        promptUpgradeContent = fields.value(.promptUpgradeContent, or: "").sanitized(limit: 4096)
    }

    private static func isLocal(_ address: String) -> Bool {
        guard address.hasPrefix("file://"), address.utf8.count <= 4 * 4200 else { return false }
        let name = String(address.dropFirst("file://".count))
        return name.sanitized(limit: 4096) == name
    }

    /// A longer urlKey belongs to no application: no configuration has one.
    private static let maximumKeyBytes = 4096

    public enum Source: String, Codable, Sendable { case server, file }

    public var source: Source { isLocalFile ? .file : .server }

    public var isLocalFile: Bool { urlPath.hasPrefix("file://") }

    /// The name of the version in logs and status lines: `v4 (code 4)`.
    public var title: String {
        versionName == "\(versionCode)" ? "version \(versionCode)" : "\(versionName) (code \(versionCode))"
    }
}

/// Why an offer is not taken up.
public enum OfferRefusal: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    case foreignUrlKey(found: String, expected: String)
    case invalidVersionCode(Int)
    case notNewer(offered: Int, installed: Int)
    case alreadyInstalled(Int)
    case abovePin(offered: Int, pinned: Int)
    case blocked(versionCode: Int, attempts: Int)
    case rejected(versionCode: Int)
    /// With what is wrong with it.
    case unusableURL(String)

    /// Only a change on the server helps.
    var isPublishersFault: Bool {
        switch self {
        case .foreignUrlKey, .invalidVersionCode, .unusableURL: true
        case .notNewer, .alreadyInstalled, .abovePin, .blocked, .rejected: false
        }
    }

    public var description: String {
        switch self {
        case .foreignUrlKey(let found, let expected):
            "the offer is for urlKey \"\(found)\", this device requested \"\(expected)\""
        case .invalidVersionCode(let code):
            "the offered versionCode \(code) is not a positive number"
        case .notNewer(let offered, let installed):
            "the offered versionCode \(offered) is not above the installed \(installed); "
                + "a downgrade needs device.appointVersionCode = \(offered)"
        case .alreadyInstalled(let code):
            "versionCode \(code) is installed already"
        case .abovePin(let offered, let pinned):
            "the offered versionCode \(offered) is above \(pinned), to which device.appointVersionCode pins this device"
        case .blocked(let code, let attempts):
            "versionCode \(code) is blocked after \(counted(attempts, "failure")); a newer version is awaited"
        case .rejected(let code):
            "versionCode \(code) was rejected by the user"
        case .unusableURL(let text):
            "the offered urlPath is unusable: \(text)"
        }
    }
}
