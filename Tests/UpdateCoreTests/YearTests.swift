import FoundationEssentials
import TestSupport
import Testing

@testable import UpdateCore

/// A simulated year with a release each week, in which one of five operations fails. The stored state stays small, and the
/// agent polls as often as it should.
@Suite struct YearTests {
    private struct Year {
        var polls = 0
        var wakeUps = 0
        var released = 1
        var installed = 0
        /// The largest stored state, in bytes.
        var largest = 0
    }

    @Test(arguments: [UInt64](1...4)) func theStoredStateStaysSmallForAYear(seed: UInt64) async throws {
        let year = try await OwnThread.compute { try simulate(seed) }
        #expect(year.installed >= year.released - 1, "it keeps up with the releases")
        // One poll every six hours, and retries.
        #expect((1300...3500).contains(year.polls), "\(year.polls)")
        #expect(year.wakeUps < 12_000, "\(year.wakeUps)")
        #expect(year.largest < 48 * 1024, "\(year.largest)")
        print(
            "a year: seed \(seed), \(year.polls) polls, \(year.wakeUps) wake-ups, \(year.released - 1) releases, "
                + "at most \(year.largest) bytes stored")
    }

    private func simulate(_ seed: UInt64) throws -> Year {
        var chance = Chance(seed: seed)
        var world = World()
        world.start()
        let end = world.now + 365 * 86_400
        var year = Year()
        while world.now < end {
            let before = world.now
            world.sleep()
            world.wallClock = world.wallClock + (world.now - before)
            year.wakeUps += 1
            year.released = 1 + Int(world.now.seconds / (7 * 86_400))
            carryOut(&world, released: year.released, polls: &year.polls, &chance)
            year.largest = max(year.largest, try JSONEncoder().encode(world.state).count)
        }
        year.installed = world.installed.versionCode ?? 0
        return year
    }

    /// Carries out the agent's effects, and those of the resulting events.
    private func carryOut(_ world: inout World, released: Int, polls: inout Int, _ chance: inout Chance) {
        var wanted = world.effects
        while !wanted.isEmpty {
            let effect = wanted.removeFirst()
            let fails = Int.random(in: 0..<5, using: &chance) == 0
            switch effect {
            case .check:
                polls += 1
                let installed = world.installed.versionCode ?? 0
                world.respond(
                    fails
                        ? .transientError(.network("down"))
                        : released > installed ? .offer(World.offer(released)) : .latest)
            case .download(let offer):
                world.handle(
                    .downloaded(
                        versionCode: offer.versionCode,
                        fails ? .transientError(.network("cut off")) : .verified(World.artifact)
                    ))
            case .install(let job):
                if !fails { world.installed = .known(versionCode: job.offer.versionCode, versionName: nil) }
                world.finishInstall(fails ? .rolledBack("it does not start") : .committed)
            case .send(let id, _):
                world.handle(.reported(id: id, fails ? .transientError(.network("down")) : .delivered))
            default: continue
            }
            wanted += world.effects
        }
    }
}
