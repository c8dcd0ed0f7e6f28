import Testing

@testable import UpdateCore

@Suite struct MomentTests {
    /// 2030-03-17, a Sunday, 17:46:40 UTC.
    private let afternoon = WallTime(unixSeconds: 1_900_000_000)

    private func when(_ delay: Seconds, at wallClock: WallTime, east offset: Seconds = 0) -> String {
        var world = World()
        world.wallClock = wallClock
        world.zone = TimeZoneOffsets([.init(from: WallTime(unixSeconds: 0), offset: offset)])
        return world.context.when(world.now + delay, world.state)
    }

    private static let moments: [(Seconds, String)] = [
        (-5, "in 0 s"), (40, "in 40 s"), (119, "in 2 min"), (120, "at 17:48"), (21_600, "at 23:46"),
        (25_200, "on Mon at 00:46"), (172_800, "on Tue at 17:46"), (518_400, "on Sat at 17:46"), (777_600, "in 9 d"),
    ]

    @Test(arguments: moments) func aMomentIsShownAsADelayOrALocalTime(delay: Seconds, text: String) {
        #expect(when(delay, at: afternoon) == text)
    }

    @Test func theTimeZoneIsApplied() {
        #expect(when(3600, at: afternoon, east: 8 * 3600) == "at 02:46")
        #expect(when(3600, at: afternoon, east: -5.5 * 3600) == "at 13:16")
        #expect(when(7 * 3600, at: afternoon, east: 5 * 3600) == "on Mon at 05:46")
    }

    @Test func aDeviceWithoutAClockShowsTheDelay() {
        #expect(when(6 * 3600, at: WallTime(unixSeconds: 100)) == "in 6 h")
    }

    /// A damaged state file may contain any number.
    @Test(arguments: [1e12, 1e18, 1e19, 1e100, .greatestFiniteMagnitude]) func noNumberIsTooLarge(number: Double) {
        #expect(when(number, at: afternoon).hasPrefix("in "))
        #expect(when(-number, at: afternoon) == "in 0 s")
        #expect(when(6 * 3600, at: WallTime(unixSeconds: number)) == "in 6 h")
        var world = World()
        world.state.serverClock = ServerClock(bootID: world.bootID, atBoot: -number)
        #expect(world.context.when(world.now + 6 * 3600, world.state) == "in 6 h")
    }
}
