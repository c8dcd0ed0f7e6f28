/// The environment at the moment of an event. Time, random seed and installed version are arguments of the core, not its own
/// readings.
public struct Context: Codable, Hashable, Sendable {
    public var now: BootInstant
    public var bootID: String
    public var wallClock: WallTime
    /// When this agent was built: a clock that shows an earlier time is wrong.
    public var buildTime: WallTime
    public var installed: InstalledVersion
    public var policy: Policy
    public var zone: TimeZoneOffsets
    public var inhibitors: [Inhibitor]
    public var seed: UInt64
    /// When this boot began. In a container CLOCK_BOOTTIME began with the boot of its host.
    public var bootBegan: BootInstant
    /// The last observation of who uses the device; nil if it was not observed.
    public var activity: Activity?

    public init(
        now: BootInstant, bootID: String, wallClock: WallTime, buildTime: WallTime, installed: InstalledVersion,
        policy: Policy, zone: TimeZoneOffsets = .utc, inhibitors: [Inhibitor] = [], seed: UInt64,
        bootBegan: BootInstant = BootInstant(0), activity: Activity? = nil
    ) {
        self.now = now
        self.bootID = bootID
        self.wallClock = wallClock
        self.buildTime = buildTime
        self.installed = installed
        self.policy = policy
        self.zone = zone
        self.inhibitors = inhibitors
        self.seed = seed
        self.bootBegan = bootBegan
        self.activity = activity
    }
}
