import FoundationEssentials
import Testing

@testable import UpdateCore

/// Random events in random order: whatever happens, some things must not.
@Suite struct PropertyTests {
    @Test(arguments: [UInt64](1...8))
    func invariantsHoldUnderAnyEvents(seed: UInt64) {
        var chance = Chance(seed: seed)
        var world = World()
        world.policy.gracePeriod = 300
        world.policy.windows = [MaintenanceWindow("Mon-Fri 02:00-05:00")].compactMap { $0 }
        world.start()
        var verified: Set<Int> = []
        for step in 0..<20_000 {
            let before = world.state
            world.now = world.now + Double.random(in: 0...5000, using: &chance)
            world.wallClock = world.wallClock + Double.random(in: 0...5000, using: &chance)
            world.inhibitors =
                Int.random(in: 0..<3, using: &chance) > 0
                ? []
                : [
                    Inhibitor(
                        what: [Inhibitor.What.allCases.randomElement(using: &chance) ?? .install], who: "tv", why: "")
                ]
            world.policy.reboot = RebootPolicy.allCases.randomElement(using: &chance) ?? .immediate
            let event = randomEvent(world, &chance)
            if case .downloaded(let code, .verified) = event, before.work?.offer.versionCode == code {
                verified.insert(code)
            }
            world.handle(event)
            for effect in world.effects {
                switch effect {
                case .install(let order):
                    #expect(verified.contains(order.offer.versionCode), "step \(step): an unverified installation")
                    #expect(order.offer.versionCode > (world.installed.versionCode ?? 0))
                    #expect(world.state.work?.hasConsent == true, "step \(step): nobody consented")
                case .ask:
                    #expect(world.state.work?.isWaiting ?? true, "step \(step): asked while an offer was worked on")
                case .download(let offer):
                    #expect(world.state.work?.offer == offer)
                case .stopDownload, .resumeInstall, .restart, .announce, .send, .emptyInbox, .cleanStaging, .log: break
                }
            }
            // Something can always happen: a wake-up, or a worker that is out.
            let isHeld =
                !world.inhibitors.isEmpty
                || world.state.work.map { world.context.hold($0, world.state) } == .some(.restartConsent)
            let hasWorker = isHeld || world.state.poll.isRunning || !(world.state.work?.isWaiting ?? true)
            #expect(hasWorker || nextWakeUp(world.state, world.context) != nil, "step \(step): stuck")
            #expect(world.state.reports.entries.count <= ReportQueue.capacity)
            #expect(world.state.trials.count <= Trial.remembered)
        }
    }

    /// What is stored is all there is after a restart: a field that is not encoded would be lost with the power.
    @Test func everyStateSurvivesItsEncoding() throws {
        var chance = Chance(seed: 4711)
        var world = World()
        world.policy.gracePeriod = 300
        world.policy.windows = [MaintenanceWindow("Mon-Fri 02:00-05:00")].compactMap { $0 }
        world.start()
        var steps: Set<String> = []
        for _ in 0..<3000 {
            world.now = world.now + Double.random(in: 0...5000, using: &chance)
            world.wallClock = world.wallClock + Double.random(in: 0...5000, using: &chance)
            world.inhibitors =
                Int.random(in: 0..<3, using: &chance) > 0
                ? []
                : [
                    Inhibitor(
                        what: [Inhibitor.What.allCases.randomElement(using: &chance) ?? .install], who: "tv", why: "")
                ]
            world.policy.reboot = RebootPolicy.allCases.randomElement(using: &chance) ?? .immediate
            world.handle(randomEvent(world, &chance))
            var expected = world.state
            // The workers of before are gone then.
            expected.poll.isRunning = false
            expected.reports.forgetWorker()
            let stored = try JSONEncoder().encode(world.state)
            #expect(try JSONDecoder().decode(AgentState.self, from: stored) == expected)
            if let step = world.state.work?.step {
                steps.insert(String("\(step)".prefix { $0.isLetter }))
            }
        }
        #expect(steps == ["downloading", "consent", "ready", "installing", "restartReady", "restarting", "later"])
    }

    private func randomEvent(_ world: World, _ chance: inout Chance) -> Event {
        let code = Int.random(in: 1...6, using: &chance)
        let id = Bool.random(using: &chance) ? world.installID ?? 1 : 7
        let current = world.state.work?.offer.versionCode ?? code
        switch Int.random(in: 0..<14, using: &chance) {
        case 0: return .started(found: nil)
        case 1: return .started(found: World.offer(code, Int.random(in: 0...3, using: &chance)))
        case 2, 3, 4: return .tick
        case 5: return .asked(AskReport(answer: .offer(World.offer(code, Int.random(in: 0...3, using: &chance)))))
        case 6: return .asked(AskReport(answer: .trouble(.network("down"))))
        case 7: return .asked(AskReport(answer: .latest))
        case 8: return .downloaded(versionCode: current, .verified(World.artifact))
        case 9:
            let results: [DownloadResult] = [.refused("no"), .gone("no"), .noSpace("no"), .trouble(.network("no"))]
            return .downloaded(versionCode: current, results[code % 4])
        case 10:
            let results: [InstallResult] = [
                .rolledBack("no"), .failed("no"), .needsRestart(isRollback: code % 2 == 0), .restarting, .unknown,
                .lost("no"),
            ]
            return .installed(id, results[code - 1])
        case 11:
            let commands: [Command] = [
                .accept(versionCode: current, .now), .accept(versionCode: current, .window),
                .postpone(versionCode: current, 3600), .reject(versionCode: current), .cancel,
                .accept(versionCode: current, .now),
            ]
            return .command(commands[code - 1])
        case 12: return code < 3 ? .command(.retry(versionCode: code)) : .configurationChanged
        default: return .command(.check)
        }
    }
}
