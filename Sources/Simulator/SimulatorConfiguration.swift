/// What the server serves, and how it misbehaves. In a TOML file each of these is a key or a table of the same name.
public struct SimulatorConfiguration: Sendable {
    /// 0 lets the system choose.
    public var port: UInt16
    /// Artifacts are served from here, as `/files/NAME`.
    public var folder: String
    /// The server's clock minus the right one, in seconds.
    public var clockOffset: Double
    public var keys: [KeyPair]
    public var applications: [Application]
    public var faults: [Fault]

    public init(
        port: UInt16 = 0, folder: String, clockOffset: Double = 0, keys: [KeyPair], applications: [Application],
        faults: [Fault] = []
    ) {
        self.port = port
        self.folder = folder
        self.clockOffset = clockOffset
        self.keys = keys
        self.applications = applications
        self.faults = faults
    }
}

public struct KeyPair: Sendable {
    public var accessKey: String
    public var secretKey: String

    public init(accessKey: String, secretKey: String) {
        self.accessKey = accessKey
        self.secretKey = secretKey
    }
}

public struct Application: Sendable {
    public var urlKey: String
    /// Device groups: the devKeys of each, by the group's name.
    public var groups: [String: [String]]
    public var versions: [Version]

    public init(urlKey: String, groups: [String: [String]] = [:], versions: [Version]) {
        self.urlKey = urlKey
        self.groups = groups
        self.versions = versions
    }

    /// Whether a version is meant for a box.
    func offers(_ version: Version, devModelKey: String, devKey: String) -> Bool {
        let chosen = version.devices + version.groups.flatMap { groups[$0] ?? [] }
        let isForAll = version.devices.isEmpty && version.groups.isEmpty
        return (isForAll || chosen.contains(devKey))
            && (version.models.isEmpty || version.models.contains(devModelKey))
    }
}

/// A version and the strategy by which it is offered.
public struct Version: Sendable {
    public var versionCode: Int
    public var versionName: String
    /// A file in the folder, or a whole URL.
    public var file: String
    /// 1 prompt, 2 silent, 3 forced.
    public var upgradeType: Int
    public var promptUpgradeContent: String
    /// Staged roll-out: offered this many times, then never again. Absent: no bound.
    public var staged: Int?
    /// Rate limit: offered this many times, then HTTP 429. Absent: no bound.
    public var rateLimit: Int?
    /// Only for these devModelKeys. Empty: for all.
    public var models: [String]
    /// Only for these devKeys, and those of the groups. Both empty: for all.
    public var devices: [String]
    public var groups: [String]

    public init(
        versionCode: Int, versionName: String, file: String, upgradeType: Int, promptUpgradeContent: String = "",
        staged: Int? = nil, rateLimit: Int? = nil, models: [String] = [], devices: [String] = [],
        groups: [String] = []
    ) {
        self.versionCode = versionCode
        self.versionName = versionName
        self.file = file
        self.upgradeType = upgradeType
        self.promptUpgradeContent = promptUpgradeContent
        self.staged = staged
        self.rateLimit = rateLimit
        self.models = models
        self.devices = devices
        self.groups = groups
    }
}
