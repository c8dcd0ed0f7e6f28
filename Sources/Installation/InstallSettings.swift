import Host
public import UpdateCore

/// The configuration of the installer.
public struct InstallSettings: Hashable, Sendable {
    /// The update module's name.
    public var module: String
    /// The directories that are searched for the module, in this order.
    public var moduleDirectories: [String]
    /// The artifact's name in the module's `files` directory.
    public var fileName: String
    /// The content of small files next to the artifact, by file name.
    public var files: [String: String]
    /// The module's meta-data, as JSON.
    public var metaData: String
    /// Seconds that each state of the module may take.
    public var timeout: Seconds
    /// Failed installations after which a version is blocked.
    public var attempts: Int
    /// Time limits of single states, by the state's name; they replace ``timeout``.
    public var timeouts: [String: Seconds]
    /// The command that reboots the device, with its arguments.
    public var rebootCommand: [String]
    /// Seconds for which inhibitors may delay the reboot of a forced version or of a rollback.
    public var inhibitLimit: Seconds
    /// Seconds after which a requested reboot is requested again.
    public var rebootTimeout: Seconds
    /// The application whose versions may be installed.
    public var urlKey: String
    /// The pinned version, which may be installed although it is older than the installed one.
    public var appointVersionCode: Int?
    public var devModelKey: String?
    /// Bytes; the installer refuses a longer artifact.
    public var sizeLimit: ByteCount
    /// The directory in which the agent stages artifacts, so that the installer can take them over; nil: it copies them.
    public var stagingDirectory: String?
    /// Bytes of the artifact that are read through the page cache, in which the module may find them.
    public var keepCache: ByteCount = Memory.limit / 4
    public var health: HealthCheck
    /// Units that are restarted after the module has installed a version, and after a rollback.
    public var restartUnits: [String]
    /// Whether the module runs with the network of the device.
    public var needsNetwork: Bool

    public init(
        module: String, moduleDirectories: [String], fileName: String, files: [String: String], metaData: String,
        timeout: Seconds, timeouts: [String: Seconds], rebootCommand: [String], urlKey: String,
        appointVersionCode: Int? = nil, devModelKey: String?, attempts: Int = 3, sizeLimit: ByteCount = .max,
        stagingDirectory: String? = nil, health: HealthCheck = HealthCheck(),
        restartUnits: [String] = [], needsNetwork: Bool = false, inhibitLimit: Seconds = 3600,
        rebootTimeout: Seconds = 300
    ) {
        self.rebootTimeout = rebootTimeout
        self.restartUnits = restartUnits
        self.inhibitLimit = inhibitLimit
        self.module = module
        self.moduleDirectories = moduleDirectories
        self.fileName = fileName
        self.files = files
        self.metaData = metaData
        self.timeout = timeout
        self.attempts = attempts
        self.timeouts = timeouts
        self.rebootCommand = rebootCommand
        self.urlKey = urlKey
        self.appointVersionCode = appointVersionCode
        self.devModelKey = devModelKey
        self.sizeLimit = sizeLimit
        self.stagingDirectory = stagingDirectory
        self.health = health
        self.needsNetwork = needsNetwork
    }

    /// Of an installation that began with an earlier configuration: enough to roll back.
    init(_ rollback: RollbackSettings, module: String) {
        self.init(
            module: module, moduleDirectories: rollback.moduleDirectories, fileName: "artifact", files: [:],
            metaData: "{}", timeout: rollback.timeout, timeouts: rollback.timeouts,
            rebootCommand: rollback.rebootCommand, urlKey: "", devModelKey: nil,
            health: HealthCheck(units: rollback.healthUnits ?? [AgentUnit.name]),
            restartUnits: rollback.restartUnits ?? [], needsNetwork: rollback.needsNetwork)
    }

    func timeLimit(of state: String) -> Seconds { timeouts[state] ?? timeout }
}

/// The part of the configuration that a rollback needs, stored when the installation begins: the configuration that the new
/// version finds, or brings, may be wrong for it.
struct RollbackSettings: Codable, Hashable, Sendable {
    var moduleDirectories: [String]
    var timeout: Seconds
    var timeouts: [String: Seconds]
    var rebootCommand: [String]
    var needsNetwork: Bool
    /// Nil if an earlier build stored the settings.
    var restartUnits: [String]?
    var healthUnits: [String]?

    /// The defaults of the options, for an installation that 0.1.0 began: it stored no such settings.
    static let standard = RollbackSettings(
        InstallSettings(
            module: "", moduleDirectories: ["/usr/lib/upgradelinkd/modules", "/usr/share/mender/modules/v3"],
            fileName: "", files: [:], metaData: "", timeout: 1800, timeouts: [:],
            rebootCommand: ["/usr/bin/systemctl", "reboot", "--check-inhibitors=no"], urlKey: "", devModelKey: nil))

    init(_ settings: InstallSettings) {
        moduleDirectories = settings.moduleDirectories
        timeout = settings.timeout
        timeouts = settings.timeouts
        rebootCommand = settings.rebootCommand
        needsNetwork = settings.needsNetwork
        restartUnits = settings.restartUnits
        healthUnits = settings.health.units
    }
}
