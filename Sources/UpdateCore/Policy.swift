/// The part of the configuration that the core needs.
public struct Policy: Codable, Hashable, Sendable {
    public var schedule: PollSchedule
    public var urlKey: String
    public var devModelKey: String?
    public var devKey: String?
    /// The pinned version; nil for the latest.
    public var appointVersionCode: Int?
    /// There are keys, or the verification mode needs none.
    public var canVerify: Bool
    public var downloadBeforeConsent: Bool
    /// A version is blocked after this many failures.
    public var maximumAttempts: Int
    /// The delay before a failed version is tried again. It doubles with each failure.
    public var retryDelay: Seconds
    /// When silent versions, and versions that were accepted for a window, may be installed. Empty: at any time.
    public var windows: [MaintenanceWindow]
    /// The delay between the announcement of a forced version and its installation.
    public var gracePeriod: Seconds
    /// How long an inhibitor can delay a forced version or the reboot of a rollback.
    public var inhibitLimit: Seconds
    public var maximumDeferrals: Int
    public var reboot: RebootPolicy
    /// A requested reboot that has not come after this time is requested again later.
    public var rebootTimeout: Seconds
    /// A version that has waited this long for a window, and missed one, is overdue; 0: never.
    public var windowLimit: Seconds
    public var missedWindows: MissedWindows
    /// The device is idle if it has not been used for this long.
    public var idleTime: Seconds

    public init(
        schedule: PollSchedule, urlKey: String, devModelKey: String? = nil, devKey: String? = nil,
        appointVersionCode: Int? = nil, canVerify: Bool = true, downloadBeforeConsent: Bool = true,
        maximumAttempts: Int = 3, retryDelay: Seconds = 600, windows: [MaintenanceWindow] = [],
        gracePeriod: Seconds = 300, inhibitLimit: Seconds = 3600, maximumDeferrals: Int = 3,
        reboot: RebootPolicy = .immediate, rebootTimeout: Seconds = 300, windowLimit: Seconds = 3 * 86_400,
        missedWindows: MissedWindows = .idle, idleTime: Seconds = 1800
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
        self.rebootTimeout = rebootTimeout
        self.windowLimit = windowLimit
        self.missedWindows = missedWindows
        self.idleTime = idleTime
    }
}
