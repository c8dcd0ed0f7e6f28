import Glibc
import TestSupport
import Testing

@testable import UpdateCore

/// Every state that the agent can come to in a small world, breadth first, with the real `reduce`: two versions, each reply
/// of the contract, every end of every worker, and a crash or a power cut between any two steps.
///
/// `make test` explores a world in which one failure gives a version up; `make explore` one with second tries, in which there
/// are ten times as many states.
@Suite struct ExplorationTests {
    /// The agent and what is around it.
    struct Place: Hashable {
        var state = AgentState()
        var installed = 1
        /// What the server still grants: each version once, as a staged roll-out does.
        var grants: [Int] = [2, 3]
        /// Granted, and neither installed nor ended: it must be somewhere.
        var owed: Set<Int> = []
        var inbox: Offer?
        var isAsking = false
        /// A worker that outlived its agent, and may still store an offer.
        var hasLateWorker = false
        var downloading: Int?
        var installer: Installer?
        var boots = 0
        /// Versions that were downloaded and verified.
        var verified: Set<Int> = []

        struct Installer: Hashable {
            var id: InstallID
            var version: Int
            /// The agent has a worker that waits for the result.
            var isHeard: Bool
            var result: InstallResult?
            var awaitsRestart = false
        }
    }

    struct Finding: Error { var text: String }

    /// What a person, the network or the power can do.
    enum Move: Hashable, CustomStringConvertible {
        case time
        case reply(Answer)
        case granted
        case workerDied(afterStoring: Bool)
        case storedLate
        case downloaded(DownloadResult)
        case installed(InstallResult)
        case crash
        case powerCut
        case command(Command)

        var description: String {
            switch self {
            case .time: "time passes"
            case .reply(let answer): "the server answers: \(answer)"
            case .granted: "the server grants a version"
            case .workerDied(let stored): "the worker dies" + (stored ? " after it stored the offer" : "")
            case .storedLate: "a worker of before stores an offer"
            case .downloaded(let result): "the download ends: \(result)"
            case .installed(let result): "the installer ends: \(result)"
            case .crash: "the agent crashes"
            case .powerCut: "the power is cut"
            case .command(let command): "\(command)"
            }
        }
    }

    struct Scenario: Sendable, CustomTestStringConvertible {
        var type: Int
        var needsRestart: Bool
        var testDescription: String { "upgradeType \(type)" + (needsRestart ? ", with a restart" : "") }
    }

    /// Set by `make explore`.
    static let isThorough = getenv("UPGRADELINKD_EXPLORE") != nil

    static let scenarios = [1, 2, 3].flatMap { type in [false, true].map { Scenario(type: type, needsRestart: $0) } }

    @Test(arguments: scenarios) func everyReachableStateKeepsThePromises(scenario: Scenario) async throws {
        let (states, transitions, stuck) = try await OwnThread.compute { try Self.explore(scenario) }
        #expect(stuck == 0, "there are \(stuck) states without a way to rest")
        print("explored \(scenario.testDescription): \(states) states, \(transitions) transitions")
    }

    private static func explore(_ scenario: Scenario) throws -> (states: Int, transitions: Int, stuck: Int) {
        let explorer = Explorer(scenario: scenario)
        let first = try explorer.settle(Place(), .started(found: nil))
        var seen: [Place: Int] = [first: 0]
        var queue = [first]
        var ways: [[Int]] = [[]]
        var transitions = 0
        var next = 0
        while next < queue.count {
            let place = queue[next]
            for move in explorer.moves(at: place) {
                let after: Place
                do {
                    after = try explorer.take(move, at: place)
                } catch let finding as Finding {
                    throw Finding(text: "\(finding.text)\nafter: \(move)\nat: \(place)")
                }
                transitions += 1
                let index: Int
                if let known = seen[after] {
                    index = known
                } else {
                    index = queue.count
                    seen[after] = index
                    queue.append(after)
                    ways.append([])
                    guard index < 5_000_000 else { throw Finding(text: "the world is not small any more") }
                }
                ways[index].append(next)
            }
            next += 1
        }
        // From everywhere there is a way to rest: walk back from where it rests.
        var reaches = Set(queue.indices.filter { queue[$0].state.work == nil && !queue[$0].isAsking })
        var front = Array(reaches)
        while let index = front.popLast() {
            for before in ways[index] where reaches.insert(before).inserted { front.append(before) }
        }
        return (queue.count, transitions, queue.count - reaches.count)
    }

    /// The world's rules.
    struct Explorer {
        let scenario: Scenario
        private let now = BootInstant(1_000_000)
        private let attempts = ExplorationTests.isThorough ? 2 : 1

        private func context(_ place: Place) -> Context {
            Context(
                now: now, bootID: "\(place.boots)", wallClock: WallTime(unixSeconds: 1_900_000_000),
                buildTime: WallTime(unixSeconds: 1_700_000_000),
                installed: .known(versionCode: place.installed, versionName: nil),
                policy: Policy(
                    schedule: PollSchedule(interval: 21_600, splay: 1800, backOffBase: 60, backOffCap: 3600),
                    urlKey: "box", maximumAttempts: attempts, gracePeriod: 300, maximumDeferrals: 1),
                // Ids must differ between installations, and do by the number of failures.
                seed: UInt64(place.state.trials.reduce(0) { $0 + $1.failures } * 10 + place.installed))
        }

        func moves(at place: Place) -> [Move] {
            var moves: [Move] = [.time, .crash, .powerCut]
            if place.isAsking {
                moves += [
                    .reply(.latest), .reply(.trouble(.rateLimited(retryAfter: nil))),
                    .reply(.trouble(.network("down"))),
                    .reply(.misconfigured(Misconfiguration(status: 401, code: 401_001, message: "", traceID: nil))),
                    .workerDied(afterStoring: false),
                ]
                if grant(to: place) != nil { moves += [.granted, .workerDied(afterStoring: true)] }
            }
            if place.hasLateWorker, place.inbox == nil, grant(to: place) != nil { moves.append(.storedLate) }
            if place.downloading != nil {
                moves += [
                    .downloaded(.verified(World.artifact)), .downloaded(.gone("404")), .downloaded(.refused("forged")),
                    .downloaded(.noSpace("full")), .downloaded(.trouble(.network("down"))),
                ]
            }
            if let installer = place.installer, installer.result == nil, !installer.awaitsRestart {
                moves += [
                    .installed(.committed), .installed(.rolledBack("no")), .installed(.failed("no")),
                    .installed(.refused("no")), .installed(.noSpace("full")),
                ]
                if scenario.needsRestart { moves.append(.installed(.needsRestart(isRollback: false))) }
            }
            if let code = place.state.work?.offer.versionCode {
                moves += [
                    .command(.accept(versionCode: code, .now)), .command(.postpone(versionCode: code, 3600)),
                    .command(.reject(versionCode: code)), .command(.cancel), .command(.retry(versionCode: code)),
                ]
            }
            return moves + [.command(.check)]
        }

        private func grant(to place: Place) -> Int? { place.grants.first { $0 > place.installed } }

        private func offer(_ version: Int) -> Offer { World.offer(version, scenario.type) }

        /// A worker that was granted a version stores it before it says so.
        private func store(_ place: inout Place) -> Int? {
            guard let version = grant(to: place) else { return nil }
            place.grants.removeAll { $0 == version }
            place.owed.insert(version)
            // The newer one stays, and is worth both.
            let kept = max(version, place.inbox?.versionCode ?? 0)
            place.inbox = offer(kept)
            place.owed = place.owed.filter { $0 >= kept || $0 == place.state.work?.offer.versionCode }
            return kept
        }

        /// What comes of a move.
        func take(_ move: Move, at place: Place) throws -> Place {
            var place = place
            switch move {
            case .time:
                // Everything that is to come next has come.
                guard let wake = nextWakeUp(place.state, context(place)) else { return place }
                place.state.shift(by: max(0, wake - now))
                return try settle(place, .tick)
            case .reply(let answer):
                place.isAsking = false
                return try settle(place, .asked(AskReport(answer: answer)))
            case .granted, .workerDied(afterStoring: true):
                // A worker that dies after storing is the same: the interpreter looks into the inbox before it believes
                // that nothing came of it.
                guard let version = store(&place) else { return place }
                place.isAsking = false
                return try settle(place, .asked(AskReport(answer: .offer(offer(version)))))
            case .storedLate:
                place.hasLateWorker = false
                _ = store(&place)
                return place
            case .workerDied(afterStoring: false):
                place.isAsking = false
                return try settle(place, .asked(AskReport(answer: .trouble(.worker("killed")))))
            case .downloaded(let result):
                guard let version = place.downloading else { return place }
                place.downloading = nil
                if case .verified = result { place.verified.insert(version) }
                return try settle(place, .downloaded(versionCode: version, result))
            case .installed(let result):
                guard var installer = place.installer else { return place }
                if case .needsRestart = result { installer.awaitsRestart = true } else { installer.result = result }
                if result == .committed { place.installed = installer.version }
                let (isHeard, id) = (installer.isHeard, installer.id)
                installer.isHeard = false
                place.installer = installer
                return isHeard ? try settle(place, .installed(id, result)) : place
            case .command(let command):
                return try settle(place, .command(command))
            case .crash:
                place.hasLateWorker = place.isAsking
                place.isAsking = false
                place.downloading = nil
                place.installer?.isHeard = false
                return try settle(place, .started(found: place.inbox))
            case .powerCut:
                place.hasLateWorker = false
                place.isAsking = false
                place.downloading = nil
                place.boots = 1
                if var installer = place.installer, installer.result == nil {
                    // What was interrupted is rolled back; what waited for the restart has it.
                    installer.result = installer.awaitsRestart ? .committed : .rolledBack("interrupted")
                    installer.isHeard = false
                    if installer.awaitsRestart { place.installed = installer.version }
                    place.installer = installer
                }
                return try settle(place, .started(found: place.inbox))
            }
        }

        /// One step of the agent, and what its effects bring about at once.
        func settle(_ start: Place, _ event: Event) throws -> Place {
            var place = start
            var events = [event]
            var steps = 0
            while let event = events.first {
                events.removeFirst()
                steps += 1
                guard steps < 50 else { throw Finding(text: "the agent does not come to rest within a step") }
                let (next, effects) = reduce(place.state, event, context(place))
                place.state = next
                for effect in effects {
                    if case .log(.offerRefused) = effect, let offer = event.offer {
                        place.owed.remove(offer.versionCode)
                    }
                    events += try carryOut(effect, &place)
                }
                // What ended, in whatever way, was entered into the history.
                for attempt in next.history where next.work?.offer.versionCode != attempt.versionCode {
                    place.owed.remove(attempt.versionCode)
                }
                place.state.history = []
            }
            place.owed.remove(place.installed)
            // One boot is like another.
            place.boots = 0
            place.state.bootID = "0"
            place.state.forgetWhatDoesNotDecide(now)
            try check(place)
            return place
        }

        private func carryOut(_ effect: Effect, _ place: inout Place) throws -> [Event] {
            switch effect {
            case .ask:
                if place.isAsking { throw Finding(text: "it asks twice at a time") }
                guard place.state.work?.isWaiting ?? true else {
                    throw Finding(text: "it asks while an offer is being worked on")
                }
                // The interpreter takes what is there before it asks.
                if let offer = place.inbox { return [.asked(AskReport(answer: .offer(offer)))] }
                place.isAsking = true
                return []
            case .download(let offer):
                place.downloading = offer.versionCode
                return []
            case .stopDownload:
                place.downloading = nil
                return []
            case .install(let order):
                let version = order.offer.versionCode
                guard place.verified.contains(version) else { throw Finding(text: "it installs what was not verified") }
                guard version > place.installed else { throw Finding(text: "it installs what is not newer") }
                guard place.state.work?.hasConsent == true else { throw Finding(text: "nobody consented") }
                if let installer = place.installer {
                    if installer.id == order.id {
                        // The same id never installs twice.
                        return heard(&place)
                    }
                    if installer.result == nil { throw Finding(text: "two installations at a time") }
                }
                place.installer = .init(id: order.id, version: version, isHeard: true)
                return []
            case .resumeInstall(let id), .restart(let id):
                guard let installer = place.installer, installer.id == id else { return [.installed(id, .unknown)] }
                if case .restart = effect, installer.awaitsRestart, installer.result == nil {
                    return [.installed(id, .restarting)]
                }
                return heard(&place)
            case .emptyInbox(let version):
                if let inbox = place.inbox, inbox.versionCode <= version { place.inbox = nil }
                return []
            case .send(let id, _): return [.reported(id: id, .delivered)]
            case .cleanStaging(let keep):
                place.verified = place.verified.filter { $0 == keep }
                return []
            case .forgetAttempts, .announce, .log: return []
            }
        }

        private func heard(_ place: inout Place) -> [Event] {
            guard var installer = place.installer else { return [] }
            if let result = installer.result { return [.installed(installer.id, result)] }
            if installer.awaitsRestart { return [.installed(installer.id, .needsRestart(isRollback: false))] }
            installer.isHeard = true
            place.installer = installer
            return []
        }

        /// The promises, in each state.
        private func check(_ place: Place) throws {
            for version in place.owed where place.state.work?.offer.versionCode != version {
                if place.inbox?.versionCode == version { continue }
                throw Finding(text: "the offer of version \(version) is lost")
            }
            let hasWorker = place.isAsking || place.downloading != nil || place.installer?.isHeard == true
            if !hasWorker, nextWakeUp(place.state, context(place)) == nil {
                guard case .restarting? = place.state.work?.step else { throw Finding(text: "it waits for nothing") }
            }
            if let work = place.state.work, place.state.failures(of: work.offer.versionCode) >= attempts {
                throw Finding(text: "it goes on with what was given up")
            }
        }
    }
}

extension Event {
    /// What it offers.
    fileprivate var offer: Offer? {
        switch self {
        case .asked(let report): if case .offer(let offer) = report.answer { offer } else { nil }
        case .started(let found): found
        default: nil
        }
    }
}

extension AgentState {
    /// All moments, as places to write to.
    private mutating func eachMoment(_ body: (inout BootInstant) -> Void) {
        body(&poll.next)
        body(&reports.notBefore)
        guard var work else { return }
        if var at = work.askAgainAt {
            body(&at)
            work.askAgainAt = at
        }
        if var deadline = work.deadline {
            body(&deadline)
            work.deadline = deadline
        }
        body(&work.since)
        switch work.step {
        case .later(var at, let why):
            body(&at)
            work.step = .later(at: at, why: why)
        case .restartReady(let id, let isRollback, var since):
            body(&since)
            work.step = .restartReady(id, isRollback: isRollback, since: since)
        case .downloading, .consent, .ready, .installing, .restarting: break
        }
        self.work = work
    }

    fileprivate mutating func shift(by seconds: Seconds) { eachMoment { $0 = BootInstant($0.seconds - seconds) } }

    /// Two states that will do the same are made equal: of moments only their order counts, of counters only what they are
    /// compared to.
    fileprivate mutating func forgetWhatDoesNotDecide(_ now: BootInstant) {
        var moments: Set<Double> = []
        eachMoment { if $0 > now { moments.insert($0.seconds) } }
        let order = moments.sorted()
        eachMoment { moment in
            let rank = order.firstIndex(of: moment.seconds).map { $0 + 1 } ?? 0
            moment = BootInstant(now.seconds + Double(rank) * 10_000)
        }
        history = []
        lastError = nil
        poll.lastAnswer = nil
        poll.unansweredBoots = nil
        reports = ReportQueue()
        reports.notBefore = now
        switch poll.mood {
        case .troubled: poll.mood = .troubled(failures: 1)
        case .misconfigured: poll.mood = .misconfigured(failures: 1)
        case .never, .answered: break
        }
        poll.unheard = min(poll.unheard, 1)
        guard var work else { return }
        work.obstacles = min(work.obstacles, 1)
        work.started = WallTime(unixSeconds: 0)
        self.work = work
    }
}
