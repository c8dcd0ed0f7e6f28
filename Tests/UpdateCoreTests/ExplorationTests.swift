import Glibc
import TestSupport
import Testing

@testable import UpdateCore

/// Explores every state that the agent can reach in a small world, breadth first, with the real `reduce`. The world has two
/// versions, each response of the contract, every end of every worker, and a crash or a power cut between any two steps.
///
/// In `make test` one failure blocks a version. In `make explore` a second attempt follows, and there are ten times as many
/// states.
@Suite struct ExplorationTests {
    /// The agent and its environment.
    struct Place: Hashable {
        var state = AgentState()
        var installed = 1
        /// The versions that the server still grants: each once, as in a staged roll-out.
        var grants: [Int] = [2, 3]
        /// Versions that were granted and have neither been installed nor ended. Each must be stored somewhere.
        var owed: Set<Int> = []
        var inbox: Offer?
        var isChecking = false
        /// A worker has outlived its agent and may still store an offer.
        var hasLateWorker = false
        var downloading: Int?
        var installer: Installer?
        var boots = 0
        /// Versions that have been downloaded and verified.
        var verified: Set<Int> = []

        struct Installer: Hashable {
            var id: InstallID
            var version: Int
            /// The agent has a worker that waits for the result.
            var isWatched: Bool
            var result: InstallResult?
            var awaitsReboot = false
        }
    }

    struct Finding: Error { var text: String }

    /// What the user, the network or the power supply can do.
    enum Move: Hashable, CustomStringConvertible {
        case time
        case response(CheckResponse)
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
            case .response(let response): "the server responds: \(response)"
            case .granted: "the server grants a version"
            case .workerDied(let stored): "the worker dies" + (stored ? " after it stored the offer" : "")
            case .storedLate: "a worker of the previous agent stores an offer"
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
        var needsReboot: Bool
        var testDescription: String { "upgradeType \(type)" + (needsReboot ? ", with a reboot" : "") }
    }

    /// Set by `make explore`.
    static let isThorough = getenv("UPGRADELINKD_EXPLORE") != nil

    static let scenarios = [1, 2, 3].flatMap { type in [false, true].map { Scenario(type: type, needsReboot: $0) } }

    @Test(arguments: scenarios) func everyReachableStateKeepsTheInvariants(scenario: Scenario) async throws {
        let (states, transitions, stuck) = try await OwnThread.compute { try Self.explore(scenario) }
        #expect(stuck == 0, "\(stuck) states cannot become idle again")
        print("explored \(scenario.testDescription): \(states) states, \(transitions) transitions")
    }

    private static func explore(_ scenario: Scenario) throws -> (states: Int, transitions: Int, stuck: Int) {
        let explorer = Explorer(scenario: scenario)
        let first = try explorer.settle(Place(), .started(found: nil))
        var seen: [Place: Int] = [first: 0]
        var queue = [first]
        var predecessors: [[Int]] = [[]]
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
                    predecessors.append([])
                    guard index < 5_000_000 else { throw Finding(text: "there are more than five million states") }
                }
                predecessors[index].append(next)
            }
            next += 1
        }
        // Every state must have a path to an idle one. The search goes backwards from the idle states.
        var reaches = Set(queue.indices.filter { queue[$0].state.work == nil && !queue[$0].isChecking })
        var front = Array(reaches)
        while let index = front.popLast() {
            for before in predecessors[index] where reaches.insert(before).inserted { front.append(before) }
        }
        return (queue.count, transitions, queue.count - reaches.count)
    }

    /// The possible moves, and the state after each.
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
                    urlKey: "device", maximumAttempts: attempts, gracePeriod: 300, maximumDeferrals: 1),
                // The ids of installations must differ: the number of failures makes their seeds differ.
                seed: UInt64(place.state.trials.reduce(0) { $0 + $1.failures } * 10 + place.installed))
        }

        func moves(at place: Place) -> [Move] {
            var moves: [Move] = [.time, .crash, .powerCut]
            if place.isChecking {
                moves += [
                    .response(.latest), .response(.transientError(.rateLimited(retryAfter: nil))),
                    .response(.transientError(.network("down"))),
                    .response(.misconfigured(Misconfiguration(status: 401, code: 401_001, message: "", traceID: nil))),
                    .workerDied(afterStoring: false),
                ]
                if grant(to: place) != nil { moves += [.granted, .workerDied(afterStoring: true)] }
            }
            if place.hasLateWorker, place.inbox == nil, grant(to: place) != nil { moves.append(.storedLate) }
            if place.downloading != nil {
                moves += [
                    .downloaded(.verified(World.artifact)), .downloaded(.gone("404")), .downloaded(.refused("forged")),
                    .downloaded(.noSpace("full")), .downloaded(.transientError(.network("down"))),
                ]
            }
            if let installer = place.installer, installer.result == nil, !installer.awaitsReboot {
                moves += [
                    .installed(.committed), .installed(.rolledBack("no")), .installed(.failed("no")),
                    .installed(.refused("no")), .installed(.noSpace("full")), .installed(.interrupted("off")),
                    .installed(.artifactLost("gone")),
                ]
                if scenario.needsReboot { moves.append(.installed(.needsReboot(isRollback: false))) }
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

        /// A worker stores a granted offer before it reports it.
        private func store(_ place: inout Place) -> Int? {
            guard let version = grant(to: place) else { return nil }
            place.grants.removeAll { $0 == version }
            place.owed.insert(version)
            // The newer offer replaces the older one.
            let kept = max(version, place.inbox?.versionCode ?? 0)
            place.inbox = offer(kept)
            place.owed = place.owed.filter { $0 >= kept || $0 == place.state.work?.offer.versionCode }
            return kept
        }

        /// The state after a move.
        func take(_ move: Move, at place: Place) throws -> Place {
            var place = place
            switch move {
            case .time:
                // The clock stays; the stored moments move back until the next wake-up is due.
                guard let wake = nextWakeUp(place.state, context(place)) else { return place }
                place.state.shift(by: max(0, wake - now))
                return try settle(place, .tick)
            case .response(let response):
                place.isChecking = false
                return try settle(place, .checked(CheckReport(response: response)))
            case .granted, .workerDied(afterStoring: true):
                // A worker that dies after storing has the same result: the agent reads the inbox when a worker has ended
                // without a report.
                guard let version = store(&place) else { return place }
                place.isChecking = false
                return try settle(place, .checked(CheckReport(response: .offer(offer(version)))))
            case .storedLate:
                place.hasLateWorker = false
                _ = store(&place)
                return place
            case .workerDied(afterStoring: false):
                place.isChecking = false
                return try settle(place, .checked(CheckReport(response: .transientError(.worker("killed")))))
            case .downloaded(let result):
                guard let version = place.downloading else { return place }
                place.downloading = nil
                if case .verified = result { place.verified.insert(version) }
                return try settle(place, .downloaded(versionCode: version, result))
            case .installed(let result):
                guard var installer = place.installer else { return place }
                if case .needsReboot = result { installer.awaitsReboot = true } else { installer.result = result }
                if result == .committed { place.installed = installer.version }
                if case .artifactLost = result { place.verified.remove(installer.version) }
                let (isWatched, id) = (installer.isWatched, installer.id)
                installer.isWatched = false
                place.installer = isWatched && result.isForgotten ? nil : installer
                return isWatched ? try settle(place, .installed(id, result)) : place
            case .command(let command):
                return try settle(place, .command(command))
            case .crash:
                place.hasLateWorker = place.isChecking
                place.isChecking = false
                place.downloading = nil
                place.installer?.isWatched = false
                return try settle(place, .started(found: place.inbox))
            case .powerCut:
                place.hasLateWorker = false
                place.isChecking = false
                place.downloading = nil
                place.boots = 1
                if var installer = place.installer, installer.result == nil {
                    // An interrupted installation is rolled back; one that waited for the reboot is committed.
                    installer.result = installer.awaitsReboot ? .committed : .rolledBack("interrupted")
                    installer.isWatched = false
                    if installer.awaitsReboot { place.installed = installer.version }
                    place.installer = installer
                }
                return try settle(place, .started(found: place.inbox))
            }
        }

        /// Handles an event, and then the events that its effects cause at once.
        func settle(_ start: Place, _ event: Event) throws -> Place {
            var place = start
            var events = [event]
            var steps = 0
            while let event = events.first {
                events.removeFirst()
                steps += 1
                guard steps < 50 else { throw Finding(text: "the agent is still busy after 50 events") }
                let (next, effects) = reduce(place.state, event, context(place))
                place.state = next
                for effect in effects {
                    if case .log(.offerRefused) = effect, let offer = event.offer {
                        place.owed.remove(offer.versionCode)
                    }
                    events += try carryOut(effect, &place)
                }
                // Every offer that ended has an entry in the history.
                for attempt in next.history where next.work?.offer.versionCode != attempt.versionCode {
                    place.owed.remove(attempt.versionCode)
                }
                place.state.history = []
            }
            place.owed.remove(place.installed)
            // All boots are equivalent.
            place.boots = 0
            place.state.bootID = "0"
            place.state.normalize(now)
            try check(place)
            return place
        }

        private func carryOut(_ effect: Effect, _ place: inout Place) throws -> [Event] {
            switch effect {
            case .check:
                if place.isChecking { throw Finding(text: "two polls at a time") }
                guard place.state.work?.mayCheck ?? true else {
                    throw Finding(text: "a poll while an offer is in progress")
                }
                // The agent takes an offer from the inbox before it starts a poll.
                if let offer = place.inbox { return [.checked(CheckReport(response: .offer(offer)))] }
                place.isChecking = true
                return []
            case .download(let offer):
                place.downloading = offer.versionCode
                return []
            case .stopDownload:
                place.downloading = nil
                return []
            case .install(let job):
                let version = job.offer.versionCode
                guard place.verified.contains(version) else {
                    throw Finding(text: "an unverified version is installed")
                }
                guard version > place.installed else { throw Finding(text: "a version that is not newer is installed") }
                guard place.state.work?.hasConsent == true else {
                    throw Finding(text: "a version is installed without consent")
                }
                if let installer = place.installer {
                    if installer.id == job.id {
                        // The same id never starts a second installation.
                        return watchInstaller(&place)
                    }
                    if installer.result == nil { throw Finding(text: "two installations at a time") }
                }
                place.installer = .init(id: job.id, version: version, isWatched: true)
                return []
            case .resumeInstall(let id), .reboot(let id):
                guard let installer = place.installer, installer.id == id else { return [.installed(id, .unknown)] }
                if case .reboot = effect, installer.awaitsReboot, installer.result == nil {
                    return [.installed(id, .rebooting)]
                }
                return watchInstaller(&place)
            case .cancelInstall(let id):
                guard var installer = place.installer, installer.id == id else { return [.installed(id, .unknown)] }
                if installer.awaitsReboot, installer.result == nil {
                    installer.result = .interrupted("it was cancelled")
                }
                place.installer = installer
                return watchInstaller(&place)
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

        private func watchInstaller(_ place: inout Place) -> [Event] {
            guard var installer = place.installer else { return [] }
            if let result = installer.result {
                if result.isForgotten { place.installer = nil }
                return [.installed(installer.id, result)]
            }
            if installer.awaitsReboot { return [.installed(installer.id, .needsReboot(isRollback: false))] }
            installer.isWatched = true
            place.installer = installer
            return []
        }

        /// Checks the invariants of a state.
        private func check(_ place: Place) throws {
            for version in place.owed where place.state.work?.offer.versionCode != version {
                if place.inbox?.versionCode == version { continue }
                throw Finding(text: "the offer of version \(version) is lost")
            }
            let hasWorker = place.isChecking || place.downloading != nil || place.installer?.isWatched == true
            if !hasWorker, nextWakeUp(place.state, context(place)) == nil {
                throw Finding(text: "neither a worker nor a wake-up is pending")
            }
            if let work = place.state.work, place.state.failures(of: work.offer.versionCode) >= attempts {
                throw Finding(text: "a blocked version is still in progress")
            }
        }
    }
}

extension InstallResult {
    /// The next installation has another id on a device; here it may have the same one.
    fileprivate var isForgotten: Bool {
        switch self {
        case .interrupted, .artifactLost: true
        default: false
        }
    }
}

extension Event {
    /// The offer that the event contains.
    fileprivate var offer: Offer? {
        switch self {
        case .checked(let report): if case .offer(let offer) = report.response { offer } else { nil }
        case .started(let found): found
        default: nil
        }
    }
}
