import FoundationEssentials
import Testing

@testable import UpdateCore

/// A year at virtual time, with a release each week and a network that fails every now and then: what the agent stores stays
/// small, and it asks as often as it should.
@Suite struct YearTests {
    @Test(arguments: [UInt64](1...4)) func aYearLeavesLittleBehind(seed: UInt64) async throws {
        var chance = Chance(seed: seed)
        var world = World()
        world.start()
        let end = world.now + 365 * 86_400
        var polls = 0
        var wakeUps = 0
        var largest = 0
        var released = 1
        while world.now < end {
            // As in RandomWorld.
            if wakeUps % 100 == 0 { await Task.yield() }
            let before = world.now
            world.sleep()
            world.wallClock = world.wallClock + (world.now - before)
            wakeUps += 1
            released = 1 + Int(world.now.seconds / (7 * 86_400))
            act(&world, released: released, polls: &polls, &chance)
            largest = max(largest, try JSONEncoder().encode(world.state).count)
        }
        let installed = world.installed.versionCode ?? 0
        #expect(installed >= released - 1, "it keeps up with the releases")
        // Every six hours, and what failed again within the hour.
        #expect((1300...3500).contains(polls), "\(polls)")
        #expect(wakeUps < 12_000, "\(wakeUps)")
        #expect(largest < 48 * 1024, "\(largest)")
        print(
            "a year: seed \(seed), \(polls) polls, \(wakeUps) wake-ups, \(released - 1) releases, at most \(largest) bytes stored"
        )
    }

    /// Carries out what the agent wants, and what it wants then.
    private func act(_ world: inout World, released: Int, polls: inout Int, _ chance: inout Chance) {
        var wanted = world.effects
        while !wanted.isEmpty {
            let effect = wanted.removeFirst()
            let fails = Int.random(in: 0..<5, using: &chance) == 0
            switch effect {
            case .ask:
                polls += 1
                let installed = world.installed.versionCode ?? 0
                world.answer(
                    fails ? .trouble(.network("down")) : released > installed ? .offer(World.offer(released)) : .latest)
            case .download(let offer):
                world.handle(
                    .downloaded(
                        versionCode: offer.versionCode,
                        fails ? .trouble(.network("cut off")) : .verified(World.artifact)
                    ))
            case .install(let order):
                if !fails { world.installed = .known(versionCode: order.offer.versionCode, versionName: nil) }
                world.finishInstall(fails ? .rolledBack("it does not start") : .committed)
            case .send(let id, _):
                world.handle(.reported(id: id, fails ? .trouble(.network("down")) : .delivered))
            default: continue
            }
            wanted += world.effects
        }
    }
}
