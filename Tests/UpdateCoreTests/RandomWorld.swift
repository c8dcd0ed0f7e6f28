@testable import UpdateCore

/// Random events at random times, with random inhibitors and commands. The same seed generates the same events.
struct RandomWorld {
    struct Step {
        var number: Int
        var before: World
        var event: Event
        var after: World
    }

    let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    func run(steps: Int, _ body: (Step) -> Void) {
        var chance = Chance(seed: seed)
        var world = World()
        world.policy.gracePeriod = 300
        world.policy.windows = [MaintenanceWindow("Mon-Fri 02:00-05:00")].compactMap { $0 }
        world.start()
        for number in 0..<steps {
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
            world.policy.missedWindows = MissedWindows.allCases.randomElement(using: &chance) ?? .idle
            let limits: [Seconds] = [0, 3600, 3 * 86_400]
            world.policy.windowLimit = limits.randomElement(using: &chance) ?? 0
            world.activity =
                Bool.random(using: &chance)
                ? nil : Activity(observed: world.now, Logins(), lastUse: BootInstant(world.now.seconds - 4000))
            let boots = Int.random(in: 0..<50, using: &chance) == 0
            if boots {
                world.bootID = "boot-\(number)"
                world.now = BootInstant(Double.random(in: 0...600, using: &chance))
                world.wallClock = WallTime(unixSeconds: 1_900_000_000 + Double.random(in: -4e8...4e8, using: &chance))
            }
            let before = world
            let event = boots ? .started(found: nil) : event(world, &chance)
            world.handle(event)
            body(Step(number: number, before: before, event: event, after: world))
        }
    }

    private func event(_ world: World, _ chance: inout Chance) -> Event {
        let code = Int.random(in: 1...6, using: &chance)
        let id = Bool.random(using: &chance) ? world.installID ?? 1 : 7
        let current = world.state.work?.offer.versionCode ?? code
        switch Int.random(in: 0..<14, using: &chance) {
        case 0: return .started(found: nil)
        case 1: return .started(found: World.offer(code, Int.random(in: 0...3, using: &chance)))
        case 2, 3, 4: return .tick
        case 5: return .checked(CheckReport(response: .offer(World.offer(code, Int.random(in: 0...3, using: &chance)))))
        case 6: return .checked(CheckReport(response: .transientError(.network("down"))))
        case 7: return .checked(CheckReport(response: .latest))
        case 8: return .downloaded(versionCode: current, .verified(World.artifact))
        case 9:
            let results: [DownloadResult] = [
                .refused("no"), .gone("no"), .noSpace("no"), .transientError(.network("no")),
            ]
            return .downloaded(versionCode: current, results[code % 4])
        case 10:
            let results: [InstallResult] = [
                .rolledBack("no"), .failed("no"), .needsReboot(isRollback: false), .needsReboot(isRollback: true),
                .rebooting, .unknown, .lost("no"), .rebootRefused("no"), .interrupted("no"), .artifactLost("no"),
            ]
            return .installed(id, results.randomElement(using: &chance) ?? .unknown)
        case 11:
            let commands: [Command] = [
                .accept(versionCode: current, .now), .accept(versionCode: current, .window),
                .postpone(versionCode: current, 3600), .reject(versionCode: current), .cancel,
                .accept(versionCode: current, .now),
            ]
            return .command(commands[code - 1])
        case 12: return code < 4 ? .command(.retry(versionCode: code == 3 ? current : code)) : .configurationChanged
        default: return .command(.check)
        }
    }
}
