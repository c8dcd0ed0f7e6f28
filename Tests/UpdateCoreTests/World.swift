import UpdateCore

/// The core with virtual time. A test generates the events that the agent's workers would report.
struct World {
    var state = AgentState()
    var now = BootInstant(100)
    var bootID = "boot-1"
    var wallClock = WallTime(unixSeconds: 1_900_000_000)
    var installed = InstalledVersion.known(versionCode: 1, versionName: "v1")
    var policy = Policy(
        schedule: PollSchedule(interval: 21_600, splay: 1800, backOffBase: 60, backOffCap: 3600), urlKey: "device",
        gracePeriod: 0)
    var zone = TimeZoneOffsets.utc
    var inhibitors: [Inhibitor] = []
    var seed: UInt64 = 1
    var bootBegan = BootInstant(0)
    var activity: Activity?
    /// Of the last event.
    var effects: [Effect] = []
    var notices: [Notice] = []

    init() {}

    var context: Context {
        Context(
            now: now, bootID: bootID, wallClock: wallClock, buildTime: WallTime(unixSeconds: 1_700_000_000),
            installed: installed, policy: policy, zone: zone, inhibitors: inhibitors, seed: seed,
            bootBegan: bootBegan, activity: activity)
    }

    mutating func handle(_ event: Event) {
        seed &+= 1
        (state, effects) = reduce(state, event, context)
        notices = effects.compactMap { if case .log(let notice) = $0 { notice } else { nil } }
    }

    /// Advances the time to the agent's next wake-up and handles a tick.
    mutating func sleep() {
        guard let wake = nextWakeUp(state, context) else { return }
        now = max(now, wake) + 0.001
        handle(.tick)
    }

    mutating func start() {
        handle(.started(found: nil))
    }

    /// Sleeps until a poll is running.
    mutating func poll() {
        for _ in 0..<1000 where !state.poll.isRunning { sleep() }
    }

    mutating func respond(_ response: CheckResponse) { handle(.checked(CheckReport(response: response))) }

    static func offer(
        _ versionCode: Int, _ type: Int = 2, url: String = "http://files.example/v", urlKey: String = "device"
    ) -> Offer {
        let fields = OfferFields(
            urlKey: urlKey, versionName: "v\(versionCode)", versionCode: versionCode, urlPath: "\(url)\(versionCode)",
            upgradeType: type, promptUpgradeContent: "Better")
        do {
            return try Offer(fields, respondingTo: CheckRequest(urlKey: urlKey, versionCode: 0))
        } catch {
            preconditionFailure("\(error)")
        }
    }

    static let artifact = Artifact(path: "/staging/2.artifact", sidecarPath: "/staging/2.sidecar", size: 1000)

    mutating func download(_ versionCode: Int = 2) {
        handle(.downloaded(versionCode: versionCode, .verified(Self.artifact)))
    }

    /// The id of the running installation.
    var installID: InstallID? {
        switch state.work?.step {
        case .installing(let id)?, .rebooting(let id)?: id
        default: nil
        }
    }

    mutating func finishInstall(_ result: InstallResult) {
        if let installID { handle(.installed(installID, result)) }
    }

    var checks: Bool { effects.contains { if case .check = $0 { true } else { false } } }
    var installs: Bool { effects.contains { if case .install = $0 { true } else { false } } }
    var downloads: Bool { effects.contains { if case .download = $0 { true } else { false } } }
}

/// A device that has just been offered a version.
func offered(_ type: Int, _ version: Int = 2, _ change: (inout World) -> Void = { _ in }) -> World {
    var world = World()
    change(&world)
    world.start()
    world.poll()
    world.respond(.offer(World.offer(version, type)))
    return world
}
