public import UpdateCore

/// Simulates a million devices in virtual time. Each device is an `AgentState` and decides by the agent's own `reduce` and
/// `nextWakeUp`. Only the server, downloads and installations are simulated.
public struct Fleet {
    private struct Device {
        var state = AgentState()
        var seed: UInt64
        var installed: Int32 = 1
        /// The second of its next action.
        var due: Int32 = .max
        /// The running worker.
        var worker = Worker.none
        /// The second in which the worker ends.
        var workerEnds: Int32 = .max
        /// The second of the first failed update check since the last response; -1 if there is none.
        var failedSince: Int32 = -1
        var isCold: Bool
        var hasWrongClock: Bool
    }

    private enum Worker {
        case none, download
        case install(InstallID)
    }

    private let scenario: FleetScenario
    private let policy: Policy
    private var devices: ContiguousArray<Device> = []
    /// The devices that act in each second.
    private var buckets: [ContiguousArray<UInt32>]
    private var requests: [UInt32]
    /// Requests that the server still accepts.
    private var capacity = 0.0
    private var wasted = 0
    private var updated: [Int32] = []
    private var longestWait = 0
    private var chance: Chance

    private static let boot = BootInstant(100)
    private static let bootID = "boot"
    /// Midnight.
    private static let wallClock = WallTime(unixSeconds: 1_900_022_400)
    private static let buildTime = WallTime(unixSeconds: 1_700_000_000)
    private static let newVersion = 2

    /// Runs a scenario.
    ///
    /// - Parameter seed: the same seed gives the same result.
    public static func run(_ scenario: FleetScenario, devices: Int, schedule: PollSchedule, seed: UInt64) -> FleetResult
    {
        var fleet = Fleet(scenario, count: devices, schedule, seed)
        for second in 0..<scenario.duration { fleet.step(second) }
        return FleetResult(
            scenario: scenario, devices: devices, seed: seed, requests: fleet.requests, wasted: fleet.wasted,
            updated: fleet.updated.sorted(), longestWait: fleet.longestWait)
    }

    private init(_ scenario: FleetScenario, count: Int, _ schedule: PollSchedule, _ seed: UInt64) {
        self.scenario = scenario
        let windows = scenario.window.map { "\(Self.hour($0.lowerBound))-\(Self.hour($0.upperBound))" }
        policy = Policy(
            schedule: schedule, urlKey: "device", windows: windows.flatMap { MaintenanceWindow($0) }.map { [$0] } ?? [])
        chance = Chance(seed: seed)
        buckets = Array(repeating: [], count: scenario.duration)
        requests = Array(repeating: 0, count: scenario.duration)
        devices.reserveCapacity(count)
        for index in 0..<count {
            var device = Device(
                seed: chance.next(), isCold: scenario.startsCold,
                hasWrongClock: Double.random(in: 0..<1, using: &chance) < scenario.wrongClocks)
            if scenario.startsCold {
                device.due = 0
                // It polled regularly before the power cut.
                device.state.poll.lastResponse =
                    Self.wallClock + -Seconds.random(in: 0..<schedule.interval, using: &chance)
            } else {
                // It has been running for a long time.
                device.state.bootID = Self.bootID
                device.state.poll.outcome = .succeeded
                let next = Seconds.random(in: 0..<schedule.interval, using: &chance)
                device.state.poll.next = Self.boot + next
                device.due = Int32(next)
            }
            devices.append(device)
            if Int(device.due) < scenario.duration { buckets[Int(device.due)].append(UInt32(index)) }
        }
    }

    private static func hour(_ hour: Int) -> String { (hour < 10 ? "0" : "") + "\(hour):00" }

    private mutating func step(_ second: Int) {
        if let admitted = scenario.admitted {
            let rate = Double(admitted) * Double(devices.count) / 1e6
            capacity = min(capacity + rate, max(rate, 1))
        }
        var list = ContiguousArray<UInt32>()
        swap(&list, &buckets[second])
        for index in list where devices[Int(index)].due == Int32(second) { act(Int(index), second) }
    }

    private mutating func act(_ index: Int, _ second: Int) {
        // A random moment in the second, because the clocks of devices differ.
        let now = Self.boot + (Seconds(second) + Seconds.random(in: 0..<1, using: &chance))
        if devices[index].isCold {
            devices[index].isCold = false
            handle(index, .started(found: nil), now, second)
        } else if devices[index].workerEnds <= Int32(second) {
            let worker = devices[index].worker
            devices[index].worker = .none
            devices[index].workerEnds = .max
            switch worker {
            case .none: break
            case .download:
                let artifact = Artifact(path: "", sidecarPath: nil, size: 1)
                let isMissing = scenario.fileOutage?.contains(second) == true
                handle(
                    index,
                    .downloaded(versionCode: Self.newVersion, isMissing ? .gone("HTTP 404") : .verified(artifact)), now,
                    second)
            case .install(let id):
                devices[index].installed = Int32(Self.newVersion)
                updated.append(Int32(second))
                handle(index, .installed(id, .committed), now, second)
            }
        } else {
            handle(index, .tick, now, second)
        }
        var due = devices[index].workerEnds
        if let wake = nextWakeUp(devices[index].state, context(index, now)) {
            due = min(due, Int32(max(wake - Self.boot, Seconds(second + 1))))
        }
        devices[index].due = due
        if Int(due) < scenario.duration { buckets[Int(due)].append(UInt32(index)) }
    }

    private func context(_ index: Int, _ now: BootInstant) -> Context {
        Context(
            now: now, bootID: Self.bootID, wallClock: Self.wallClock + (now - Self.boot), buildTime: Self.buildTime,
            installed: .known(versionCode: Int(devices[index].installed), versionName: nil), policy: policy,
            seed: devices[index].seed)
    }

    private mutating func handle(_ index: Int, _ event: Event, _ now: BootInstant, _ second: Int) {
        devices[index].seed &+= 0x9E37_79B9_7F4A_7C15
        let (state, effects) = reduce(devices[index].state, event, context(index, now))
        devices[index].state = state
        for effect in effects {
            switch effect {
            case .check: handle(index, .checked(check(index, second)), now, second)
            case .send(let id, _): handle(index, .reported(id: id, deliver(second)), now, second)
            case .download:
                // Artifacts come from a CDN, which is part of the simulation only while it fails.
                if scenario.fileOutage?.contains(second) == true {
                    requests[second] += 1
                    wasted += 1
                    start(index, .download, until: second + 1)
                } else {
                    start(index, .download, until: second + Int.random(in: 30...600, using: &chance))
                }
            case .install(let job):
                start(index, .install(job.id), until: second + Int.random(in: 10...120, using: &chance))
            case .stopDownload, .resumeInstall, .reboot, .cancelInstall, .forgetAttempts, .emptyInbox, .cleanStaging,
                .announce, .log:
                break
            }
        }
    }

    private mutating func start(_ index: Int, _ worker: Worker, until second: Int) {
        devices[index].worker = worker
        devices[index].workerEnds = Int32(second)
    }

    // MARK: the server

    /// The error of a request; nil if the server accepts it.
    private mutating func transientError(_ second: Int) -> TransientError? {
        requests[second] += 1
        if scenario.outage?.contains(second) == true { return .network("no connection") }
        guard scenario.admitted != nil else { return nil }
        guard capacity >= 1 else { return .rateLimited(retryAfter: nil) }
        capacity -= 1
        return nil
    }

    private mutating func check(_ index: Int, _ second: Int) -> CheckReport {
        var clock: ServerClock?
        if devices[index].hasWrongClock {
            // The server refuses the request; the device repeats it at once with the time of the reply.
            if let transientError = transientError(second) { return failed(index, second, transientError) }
            wasted += 1
            devices[index].hasWrongClock = false
            clock = ServerClock(bootID: Self.bootID, atBoot: Self.wallClock.unixSeconds - Self.boot.seconds)
        }
        if let transientError = transientError(second) { return failed(index, second, transientError) }
        if devices[index].failedSince >= 0 {
            // No device could get a response before the end of the outage.
            let since = max(Int(devices[index].failedSince), scenario.outage?.upperBound ?? 0)
            longestWait = max(longestWait, second - since)
            devices[index].failedSince = -1
        }
        let share = scenario.releases.last { $0.at <= second }?.share ?? 0
        // The server selects devices by their identity.
        let isChosen = Double(index % 10_000) < share * 10_000
        guard isChosen, devices[index].installed < Self.newVersion else {
            return CheckReport(response: .latest, serverClock: clock)
        }
        return CheckReport(response: .offer(Self.offer), serverClock: clock)
    }

    private mutating func failed(_ index: Int, _ second: Int, _ transientError: TransientError) -> CheckReport {
        wasted += 1
        if devices[index].failedSince < 0 { devices[index].failedSince = Int32(second) }
        return CheckReport(response: .transientError(transientError))
    }

    private mutating func deliver(_ second: Int) -> Delivery {
        guard let transientError = transientError(second) else { return .delivered }
        wasted += 1
        return .transientError(transientError)
    }

    private static let offer: Offer = {
        let fields = OfferFields(
            urlKey: "device", versionName: "v2", versionCode: newVersion, urlPath: "https://files.example/v2",
            upgradeType: 2,
            promptUpgradeContent: "")
        guard let offer = try? Offer(fields, respondingTo: CheckRequest(urlKey: "device", versionCode: 1)) else {
            preconditionFailure("the offer is valid")
        }
        return offer
    }()
}
