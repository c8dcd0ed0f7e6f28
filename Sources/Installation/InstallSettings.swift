public import UpdateCore

/// What the operator says about installing.
public struct InstallSettings: Hashable, Sendable {
    /// The update module's name.
    public var module: String
    /// Where modules are looked for, in order.
    public var moduleFolders: [String]
    /// The artifact's name in the module's `files` folder.
    public var fileName: String
    /// Small payload files beside the artifact, by name.
    public var files: [String: String]
    /// The module's meta-data, as JSON.
    public var metaData: String
    public var timeout: Seconds
    /// Failed installations after which a version is blocked.
    public var attempts: Int
    /// By state, where one needs another time limit.
    public var timeouts: [String: Seconds]
    public var rebootCommand: [String]
    /// The application whose versions may be installed, and the one older version that may.
    public var urlKey: String
    public var appointVersionCode: Int?
    public var devModelKey: String?
    /// A longer artifact is refused.
    public var sizeLimit: Int
    public var health: HealthCheck
    /// The module gets the box's network.
    public var needsNetwork: Bool

    public init(
        module: String, moduleFolders: [String], fileName: String, files: [String: String], metaData: String,
        timeout: Seconds, timeouts: [String: Seconds], rebootCommand: [String], urlKey: String,
        appointVersionCode: Int? = nil, devModelKey: String?, attempts: Int = 3, sizeLimit: Int = .max,
        health: HealthCheck = HealthCheck(),
        needsNetwork: Bool = false
    ) {
        self.module = module
        self.moduleFolders = moduleFolders
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
        self.health = health
        self.needsNetwork = needsNetwork
    }

    func timeLimit(of state: String) -> Seconds { timeouts[state] ?? timeout }
}
