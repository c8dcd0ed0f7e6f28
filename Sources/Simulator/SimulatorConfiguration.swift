/// What the simulated server offers, and its faults. Each property is a key or a table of the same name in a TOML file.
public struct SimulatorConfiguration: Sendable {
    /// By default a port of loopback.
    public var listen: ListenAddress
    /// The URL at which devices reach the server, without a slash at its end. Nil: each device gets URLs with the address that
    /// it used itself.
    public var publicURL: String?
    /// The directory of the artifacts. The server also offers each ``Release`` in it.
    ///
    /// A file of the directory is served as `/files/NAME` if a version names it as its ``Version/file``, or a fault redirects to
    /// it; and with it its signatures and digests, such as `NAME.minisig`. Nothing else is served.
    public var directory: String
    /// Seconds that the server's clock is ahead of the system clock.
    public var clockOffset: Double
    public var keys: [KeyPair]
    public var applications: [Application]
    public var faults: [Fault]

    public init(
        listen: ListenAddress = .loopback(port: 0), publicURL: String? = nil, directory: String,
        clockOffset: Double = 0, keys: [KeyPair], applications: [Application],
        faults: [Fault] = []
    ) {
        self.listen = listen
        self.publicURL = publicURL
        self.directory = directory
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

    /// Whether a version is for this device.
    func offers(_ version: Version, devModelKey: String, devKey: String) -> Bool {
        let chosen = version.devices + version.groups.flatMap { groups[$0] ?? [] }
        let isForAll = version.devices.isEmpty && version.groups.isEmpty
        return (isForAll || chosen.contains(devKey))
            && (version.models.isEmpty || version.models.contains(devModelKey))
    }
}

/// A version and the rules by which the server offers it.
public struct Version: Sendable {
    public var versionCode: Int
    public var versionName: String
    /// A file in the directory, or a URL.
    public var file: String
    /// 1 prompt, 2 silent, 3 forced.
    public var upgradeType: Int
    public var promptUpgradeContent: String
    /// The quota of a staged roll-out: the version is offered this many times. Nil for no limit.
    public var staged: Int?
    /// A rate limit: the version is offered this many times, then the server replies with HTTP 429. Nil for no limit.
    public var rateLimit: Int?
    /// The devModelKeys that the version is for; empty for all.
    public var models: [String]
    /// The devKeys that the version is for, in addition to those of ``groups``. If both are empty, it is for all devices.
    public var devices: [String]
    /// Names of device groups that the version is for.
    public var groups: [String]
    /// The file that registered it, see ``Release``; nil if it is configured.
    var registration: String?

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
