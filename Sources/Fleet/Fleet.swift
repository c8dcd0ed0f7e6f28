public import UpdateCore

/// A million boxes at virtual time. Each is an `AgentState` and decides by the agent's own `reduce` and `nextWakeUp`; only
/// what is around them is played.
public struct Fleet {
    private struct Box {
        var state = AgentState()
        var seed: UInt64
        var installed: Int32 = 1
        /// The second it does something next.
        var due: Int32 = .max
        /// The worker that is out, and when it ends.
        var worker = Worker.none
        var workerEnds: Int32 = .max
        /// Since when it goes without an answer that it wants; -1 when it does not.
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
    private var boxes: ContiguousArray<Box> = []
    /// The boxes that do something in each second.
    private var buckets: [ContiguousArray<UInt32>]
    private var requests: [UInt32]
    /// Requests that the server still takes.
    private var room = 0.0
    private var wasted = 0
    private var updated: [Int32] = []
    private var longestWait = 0
    private var chance: Chance

    private static let boot = BootInstant(100)
    private static let bootID = "boot"
    /// A midnight.
    private static let wallClock = WallTime(unixSeconds: 1_900_022_400)
    private static let buildTime = WallTime(unixSeconds: 1_700_000_000)
    private static let newVersion = 2

    public static func run(_ scenario: FleetScenario, boxes: Int, schedule: PollSchedule, seed: UInt64) -> FleetResult {
        var fleet = Fleet(scenario, count: boxes, schedule, seed)
        for second in 0..<scenario.duration { fleet.step(second) }
        return FleetResult(
            scenario: scenario, boxes: boxes, requests: fleet.requests, wasted: fleet.wasted,
            updated: fleet.updated.sorted(), longestWait: fleet.longestWait)
    }

    private init(_ scenario: FleetScenario, count: Int, _ schedule: PollSchedule, _ seed: UInt64) {
        self.scenario = scenario
        let windows = scenario.window.map { "\(Self.hour($0.lowerBound))-\(Self.hour($0.upperBound))" }
        policy = Policy(
            schedule: schedule, urlKey: "box", windows: windows.flatMap { MaintenanceWindow($0) }.map { [$0] } ?? [])
        chance = Chance(seed: seed)
        buckets = Array(repeating: [], count: scenario.duration)
        requests = Array(repeating: 0, count: scenario.duration)
        boxes.reserveCapacity(count)
        for index in 0..<count {
            var box = Box(
                seed: chance.next(), isCold: scenario.startsCold,
                hasWrongClock: Double.random(in: 0..<1, using: &chance) < scenario.wrongClocks)
            if scenario.startsCold {
                box.due = 0
                // Before the power went it was answered as ever.
                box.state.poll.lastAnswer = Self.wallClock + -Seconds.random(in: 0..<schedule.interval, using: &chance)
            } else {
                // It has been running for long.
                box.state.bootID = Self.bootID
                box.state.poll.mood = .answered
                let next = Seconds.random(in: 0..<schedule.interval, using: &chance)
                box.state.poll.next = Self.boot + next
                box.due = Int32(next)
            }
            boxes.append(box)
            if Int(box.due) < scenario.duration { buckets[Int(box.due)].append(UInt32(index)) }
        }
    }

    private static func hour(_ hour: Int) -> String { (hour < 10 ? "0" : "") + "\(hour):00" }

    private mutating func step(_ second: Int) {
        if let admitted = scenario.admitted {
            let rate = Double(admitted) * Double(boxes.count) / 1e6
            room = min(room + rate, max(rate, 1))
        }
        var list = ContiguousArray<UInt32>()
        swap(&list, &buckets[second])
        for index in list where boxes[Int(index)].due == Int32(second) { act(Int(index), second) }
    }

    private mutating func act(_ index: Int, _ second: Int) {
        // Somewhere in the second: no two boxes keep the same time.
        let now = Self.boot + (Seconds(second) + Seconds.random(in: 0..<1, using: &chance))
        if boxes[index].isCold {
            boxes[index].isCold = false
            handle(index, .started(found: nil), now, second)
        } else if boxes[index].workerEnds <= Int32(second) {
            let worker = boxes[index].worker
            boxes[index].worker = .none
            boxes[index].workerEnds = .max
            switch worker {
            case .none: break
            case .download:
                let artifact = Artifact(path: "", sidecarPath: nil, size: 1)
                handle(index, .downloaded(versionCode: Self.newVersion, .verified(artifact)), now, second)
            case .install(let id):
                boxes[index].installed = Int32(Self.newVersion)
                updated.append(Int32(second))
                handle(index, .installed(id, .committed), now, second)
            }
        } else {
            handle(index, .tick, now, second)
        }
        var due = boxes[index].workerEnds
        if let wake = nextWakeUp(boxes[index].state, context(index, now)) {
            due = min(due, Int32(max(wake - Self.boot, Seconds(second + 1))))
        }
        boxes[index].due = due
        if Int(due) < scenario.duration { buckets[Int(due)].append(UInt32(index)) }
    }

    private func context(_ index: Int, _ now: BootInstant) -> Context {
        Context(
            now: now, bootID: Self.bootID, wallClock: Self.wallClock + (now - Self.boot), buildTime: Self.buildTime,
            installed: .known(versionCode: Int(boxes[index].installed), versionName: nil), policy: policy,
            seed: boxes[index].seed)
    }

    private mutating func handle(_ index: Int, _ event: Event, _ now: BootInstant, _ second: Int) {
        boxes[index].seed &+= 0x9E37_79B9_7F4A_7C15
        let (state, effects) = reduce(boxes[index].state, event, context(index, now))
        boxes[index].state = state
        for effect in effects {
            switch effect {
            case .ask: handle(index, .asked(ask(index, second, now)), now, second)
            case .send(let id, _): handle(index, .reported(id: id, deliver(second)), now, second)
            case .download:
                // Artifacts come from elsewhere: a CDN.
                start(index, .download, until: second + Int.random(in: 30...600, using: &chance))
            case .install(let order):
                start(index, .install(order.id), until: second + Int.random(in: 10...120, using: &chance))
            case .stopDownload, .resumeInstall, .restart, .forgetAttempts, .emptyInbox, .cleanStaging, .announce, .log:
                break
            }
        }
    }

    private mutating func start(_ index: Int, _ worker: Worker, until second: Int) {
        boxes[index].worker = worker
        boxes[index].workerEnds = Int32(second)
    }

    // MARK: the server

    /// Nil where it takes the request.
    private mutating func trouble(_ second: Int) -> Trouble? {
        requests[second] += 1
        if scenario.outage?.contains(second) == true { return .network("no connection") }
        guard scenario.admitted != nil else { return nil }
        guard room >= 1 else { return .rateLimited(retryAfter: nil) }
        room -= 1
        return nil
    }

    private mutating func ask(_ index: Int, _ second: Int, _ now: BootInstant) -> AskReport {
        var clock: ServerClock?
        if boxes[index].hasWrongClock {
            // Refused, and asked again at once with the time that the refusal tells.
            if let trouble = trouble(second) { return failed(index, second, trouble) }
            wasted += 1
            boxes[index].hasWrongClock = false
            clock = ServerClock(bootID: Self.bootID, atBoot: Self.wallClock.unixSeconds - Self.boot.seconds)
        }
        if let trouble = trouble(second) { return failed(index, second, trouble) }
        if boxes[index].failedSince >= 0 {
            // Nobody could have had an answer before the outage was over.
            let since = max(Int(boxes[index].failedSince), scenario.outage?.upperBound ?? 0)
            longestWait = max(longestWait, second - since)
            boxes[index].failedSince = -1
        }
        let share = scenario.releases.last { $0.at <= second }?.share ?? 0
        // The server chooses by the box's name.
        let isChosen = Double(index % 10_000) < share * 10_000
        guard isChosen, boxes[index].installed < Self.newVersion else {
            return AskReport(answer: .latest, serverClock: clock)
        }
        return AskReport(answer: .offer(Self.offer), serverClock: clock)
    }

    private mutating func failed(_ index: Int, _ second: Int, _ trouble: Trouble) -> AskReport {
        wasted += 1
        if boxes[index].failedSince < 0 { boxes[index].failedSince = Int32(second) }
        return AskReport(answer: .trouble(trouble))
    }

    private mutating func deliver(_ second: Int) -> Delivery {
        guard let trouble = trouble(second) else { return .delivered }
        wasted += 1
        return .trouble(trouble)
    }

    private static let offer: Offer = {
        let fields = OfferFields(
            urlKey: "box", versionName: "v2", versionCode: newVersion, urlPath: "https://files.example/v2",
            upgradeType: 2,
            promptUpgradeContent: "")
        guard let offer = try? Offer(fields, answering: Question(urlKey: "box", versionCode: 1)) else {
            preconditionFailure("this offer is a right one")
        }
        return offer
    }()
}
