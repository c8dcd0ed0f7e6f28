/// What the operator decided in the configuration, as far as the core needs it.
public struct Policy: Codable, Hashable, Sendable {
    public var schedule: PollSchedule
    public var urlKey: String
    public var devModelKey: String?
    public var devKey: String?
    public var appointVersionCode: Int?
    /// Keys are there, or the mode needs none.
    public var canVerify: Bool
    public var downloadBeforeConsent: Bool
    /// Failures after which a version is given up.
    public var maximumAttempts: Int
    /// Before a version that failed is tried again; doubles with each failure.
    public var retryDelay: Seconds
    /// When silent versions, and those accepted for a window, may be installed. None: at any time.
    public var windows: [MaintenanceWindow]
    /// From the announcement of a forced version to its installation.
    public var gracePeriod: Seconds
    /// For how long an inhibitor holds back what is forced.
    public var inhibitLimit: Seconds
    public var maximumDeferrals: Int
    public var reboot: RebootPolicy

    public init(
        schedule: PollSchedule, urlKey: String, devModelKey: String? = nil, devKey: String? = nil,
        appointVersionCode: Int? = nil, canVerify: Bool = true, downloadBeforeConsent: Bool = true,
        maximumAttempts: Int = 3, retryDelay: Seconds = 600, windows: [MaintenanceWindow] = [],
        gracePeriod: Seconds = 300, inhibitLimit: Seconds = 3600, maximumDeferrals: Int = 3,
        reboot: RebootPolicy = .immediate
    ) {
        self.schedule = schedule
        self.urlKey = urlKey
        self.devModelKey = devModelKey
        self.devKey = devKey
        self.appointVersionCode = appointVersionCode
        self.canVerify = canVerify
        self.downloadBeforeConsent = downloadBeforeConsent
        self.maximumAttempts = maximumAttempts
        self.retryDelay = retryDelay
        self.windows = windows
        self.gracePeriod = gracePeriod
        self.inhibitLimit = inhibitLimit
        self.maximumDeferrals = maximumDeferrals
        self.reboot = reboot
    }
}
