/// How a version is to reach the box: the server's `upgradeType`.
public enum UpgradeType: Codable, Hashable, Sendable {
    /// Ask the person in front of the box first.
    case prompt
    /// Install without asking.
    case silent
    /// Install without asking, and soon.
    case forced
    /// A code the contract does not name (0, or a later addition): handled as ``prompt``, with a warning.
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

    /// For programs.
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

/// What the agent asks the server: who the box is, and what it runs now.
public struct Question: Codable, Hashable, Sendable {
    public var urlKey: String
    /// The version installed now; the server refuses 0.
    public var versionCode: Int
    /// The version the operator wants instead of the latest, if any.
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

/// The fields of a granted reply, with the right types but not yet believed.
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

/// A strategy the server granted, checked against the question it answers.
public struct Offer: Codable, Hashable, Sendable {
    public let urlKey: String
    public let versionName: String
    public let versionCode: Int
    public let urlPath: String
    public let upgradeType: UpgradeType
    /// Text for people; free of control characters and at most 4,096 characters.
    public let promptUpgradeContent: String

    public init(_ fields: OfferFields, answering question: Question) throws(OfferRefusal) {
        guard fields.urlKey == question.urlKey else {
            throw .foreignUrlKey(found: fields.urlKey.forPeople(limit: 64), expected: question.urlKey)
        }
        guard fields.versionCode > 0 else { throw .invalidVersionCode(fields.versionCode) }
        guard
            fields.versionCode > question.versionCode || fields.versionCode == question.appointVersionCode
        else {
            throw .notNewer(offered: fields.versionCode, installed: question.versionCode)
        }
        guard let url = WebURL(fields.urlPath) else {
            throw .unusableURL(fields.urlPath.forPeople(limit: 200))
        }
        urlKey = fields.urlKey
        versionCode = fields.versionCode
        urlPath = url.text
        upgradeType = UpgradeType(code: fields.upgradeType)
        let name = fields.versionName.forPeople(limit: 128)
        versionName = name.isEmpty ? "\(fields.versionCode)" : name
        promptUpgradeContent = fields.promptUpgradeContent.forPeople(limit: 4096)
    }

    /// An offer that came as a file, not from the server: what the file's signature claims.
    public init(file name: String, urlKey: String, versionCode: Int) {
        self.urlKey = urlKey
        self.versionCode = versionCode
        versionName = "\(versionCode)"
        urlPath = "file://\(name.forPeople(limit: 4096))"
        upgradeType = .prompt
        promptUpgradeContent = ""
    }

    private enum CodingKeys: String, CodingKey {
        case urlKey, versionName, versionCode, urlPath, upgradeType, promptUpgradeContent
    }

    /// From a stored file or another process: with the limits of the other initialisers, and as much as can be read.
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        urlKey = try fields.required(.urlKey)
        versionCode = try fields.required(.versionCode)
        let address: String = try fields.required(.urlPath)
        guard versionCode > 0, WebURL(address) != nil || Self.isLocal(address) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "neither a version nor an address"))
        }
        urlPath = address
        // What another version knows better is left to the user's consent.
        upgradeType = fields.value(.upgradeType, or: .unknown(0))
        let name = fields.value(.versionName, or: "").forPeople(limit: 128)
        versionName = name.isEmpty ? "\(versionCode)" : name
        promptUpgradeContent = fields.value(.promptUpgradeContent, or: "").forPeople(limit: 4096)
    }

    private static func isLocal(_ address: String) -> Bool {
        address.hasPrefix("file://") && address.utf8.count <= 4 * 4200
    }

    public var isLocalFile: Bool { urlPath.hasPrefix("file://") }

    /// `v4 (code 4)`: how logs and status lines name a version.
    public var title: String {
        versionName == "\(versionCode)" ? "version \(versionCode)" : "\(versionName) (code \(versionCode))"
    }
}

/// Why a granted reply is not taken up.
public enum OfferRefusal: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    case foreignUrlKey(found: String, expected: String)
    case invalidVersionCode(Int)
    case notNewer(offered: Int, installed: Int)
    case alreadyInstalled(Int)
    case givenUp(versionCode: Int, attempts: Int)
    case rejected(versionCode: Int)
    case unusableURL(String)

    public var description: String {
        switch self {
        case .foreignUrlKey(let found, let expected):
            "the offer is for urlKey \"\(found)\", this box asked for \"\(expected)\""
        case .invalidVersionCode(let code):
            "the offered versionCode \(code) is not a positive number"
        case .notNewer(let offered, let installed):
            "the offered versionCode \(offered) is not above the installed \(installed); "
                + "a downgrade needs device.appointVersionCode = \(offered)"
        case .alreadyInstalled(let code):
            "versionCode \(code) is installed already"
        case .givenUp(let code, let attempts):
            "versionCode \(code) was given up after \(attempts) failed attempts; a newer version is awaited"
        case .rejected(let code):
            "versionCode \(code) was rejected by the person in front of the box"
        case .unusableURL(let text):
            "the offered urlPath \"\(text)\" is not an http or https URL"
        }
    }
}
