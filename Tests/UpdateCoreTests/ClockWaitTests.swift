import Testing

@testable import UpdateCore

/// A certificate that was refused because of the device's clock: the agent waits until the clock is set, and says so.
@Suite struct ClockWaitTests {
    private let expired = TransientError.tls("certificate has expired")

    private var polling: World {
        var world = World()
        world.start()
        world.poll()
        return world
    }

    /// A device whose clock is wrong by this many seconds, as the server says.
    private func refused(wrongBy seconds: Seconds, isOutOfDate: Bool = true) -> World {
        var world = polling
        world.handle(
            .checked(
                CheckReport(
                    response: .transientError(expired), isOutOfDate: isOutOfDate,
                    serverTime: world.wallClock + seconds)))
        return world
    }

    @Test(arguments: [-3601.0, 3601]) func aClockThatIsWrongByMoreThanAnHourIsTheReason(seconds: Seconds) {
        let world = refused(wrongBy: seconds)
        #expect(world.state.poll.awaitsClock && world.state.lastErrorCode == .clockWrong)
        #expect(world.state.lastError?.contains("is wrong, it shows 2030-03-17 17:46, and the server's shows") == true)
        #expect(world.notices.map(\.reasonCode) == [.clockWrong])
    }

    @Test(arguments: [-3600.0, 0, 3600]) func aClockThatIsRightMeansThatTheCertificateIsOld(seconds: Seconds) {
        let world = refused(wrongBy: seconds)
        #expect(world.state.lastError?.contains("the server's certificate must be renewed") == true)
        #expect(world.state.poll.awaitsClock)
    }

    @Test func anotherReasonOfARefusalIsNotTheClock() {
        let world = refused(wrongBy: 100_000, isOutOfDate: false)
        #expect(!world.state.poll.awaitsClock && world.state.lastErrorCode == .connectionUntrusted)
    }

    @Test(arguments: [(60.0, false), (-60, false), (61, true), (-61, true)])
    func aClockThatMovesByMoreThanAMinuteHasBeenSet(seconds: Seconds, isSet: Bool) {
        var world = refused(wrongBy: 7200)
        let next = world.now + 3000
        world.state.poll.next = next
        world.now = world.now + 10
        world.wallClock = world.wallClock + 10 + seconds
        world.handle(.tick)
        #expect(world.notices == (isSet ? [.clockSet] : []))
        #expect(world.state.poll.awaitsClock == !isSet)
        #expect(isSet ? world.state.poll.next - world.now <= 30 : world.state.poll.next == next)
    }

    /// A clock that shows a time before the agent was built is not set.
    @Test func aTimeBeforeTheBuildIsNoTime() {
        var world = polling
        world.wallClock = WallTime(unixSeconds: 1_699_999_999)
        world.respond(.transientError(expired))
        #expect(world.state.poll.awaitsClock && world.state.poll.clockOffset == nil)
        world.handle(.tick)
        #expect(world.state.poll.awaitsClock)
        world.wallClock = WallTime(unixSeconds: 1_700_000_000)
        world.handle(.tick)
        #expect(!world.state.poll.awaitsClock && world.notices == [.clockSet])
    }

    /// The download continues as soon as the clock is set. The checks have not failed, so they keep their time.
    @Test func aDownloadWaitsForTheClockToo() {
        var world = offered(2)
        world.handle(.downloaded(versionCode: 2, .transientError(expired)))
        #expect(world.state.poll.awaitsClock && !world.downloads)
        let next = world.state.poll.next
        world.wallClock = world.wallClock + 86_400
        world.handle(.tick)
        #expect(nextWakeUp(world.state, world.context) == world.now)
        world.handle(.tick)
        #expect(world.downloads && world.state.poll.next == next)
        for error in [TransientError.network("down"), .file("HTTP 404")] {
            world = offered(2)
            world.handle(.downloaded(versionCode: 2, .transientError(error)))
            #expect(!world.state.poll.awaitsClock, "\(error)")
        }
    }

    @Test func aChecksFailureWithAnOfferIsRepeatedSoonAfterTheClockIsSet() {
        var world = offered(1)
        world.download()
        world.poll()
        world.handle(
            .checked(
                CheckReport(
                    response: .transientError(expired), isOutOfDate: true, serverTime: world.wallClock + 7200)))
        #expect(world.state.poll.next - world.now > 77_000)
        world.wallClock = world.wallClock + 7200
        world.handle(.tick)
        #expect(world.state.poll.next - world.now <= 30)
    }

    @Test func aSuccessfulCheckEndsTheWait() {
        var world = refused(wrongBy: 7200)
        world.respond(.latest)
        #expect(!world.state.poll.awaitsClock && world.state.poll.clockOffset == nil)
    }

    /// A boot sets the clock, or does not: a clock that was not set at all is waited for in the next boot, too.
    @Test func aBootEndsTheWaitForAClockThatWasSet() {
        var world = refused(wrongBy: 7200)
        world.reboot(after: 60)
        #expect(!world.state.poll.awaitsClock && world.state.poll.clockOffset == nil)
        world = polling
        world.wallClock = WallTime(unixSeconds: 10)
        world.respond(.transientError(expired))
        world.reboot(after: 60)
        #expect(world.state.poll.awaitsClock)
    }

    // MARK: the server's clock

    @Test func aWrongClockIsLoggedOnce() {
        var world = polling
        let clock = ServerClock(bootID: world.bootID, atBoot: 1_950_000_000)
        world.handle(.checked(CheckReport(response: .latest, serverClock: clock)))
        #expect(world.notices.first == .clockWrong(server: WallTime(unixSeconds: 1_950_000_000 + world.now.seconds)))
        #expect(world.state.poll.lastResponse == WallTime(unixSeconds: 1_950_000_000 + world.now.seconds))
        let later = ServerClock(bootID: world.bootID, atBoot: 1_950_000_007)
        world.handle(.checked(CheckReport(response: .latest, serverClock: later)))
        #expect(world.notices == [.upToDate(world.installed)] && world.state.serverClock == later)
        world.handle(.checked(CheckReport(response: .latest)))
        #expect(world.state.serverClock == later, "a response without one changes nothing")
    }

    @Test func theServersClockIsOfOneBoot() {
        let clock = ServerClock(bootID: "boot-1", atBoot: 1000)
        #expect(clock.time(at: BootInstant(7), bootID: "boot-1") == WallTime(unixSeconds: 1007))
        #expect(clock.time(at: BootInstant(7), bootID: "boot-2") == nil)
    }

    // MARK: times that count

    @Test func theClockIsSettledTenMinutesAfterTheBoot() {
        var world = World()
        world.bootBegan = BootInstant(50)
        world.state.poll.bootsWithoutResponse = 1
        world.now = BootInstant(649.9)
        #expect(!world.context.isClockSettledByTime && world.context.settledTime(world.state) == nil)
        world.now = BootInstant(650)
        #expect(world.context.isClockSettledByTime && world.context.settledTime(world.state) == world.wallClock)
        world.now = BootInstant(60)
        world.state.poll.bootsWithoutResponse = 0
        #expect(world.context.settledTime(world.state) == world.wallClock, "a response shows that it is right")
        world.state.poll.bootsWithoutResponse = 1
        world.state.serverClock = ServerClock(bootID: world.bootID, atBoot: 5)
        #expect(world.context.settledTime(world.state) == WallTime(unixSeconds: 65))
    }

    @Test func aBootIsYoungForFiveMinutes() {
        var world = World()
        world.bootBegan = BootInstant(50)
        world.now = BootInstant(349.9)
        #expect(world.context.isSoonAfterBoot)
        world.now = BootInstant(350)
        #expect(!world.context.isSoonAfterBoot)
    }

    @Test func anObservationIsFreshForFiveSeconds() {
        let activity = Activity(observed: BootInstant(100), idleSince: nil)
        #expect(activity.isFresh(BootInstant(105)) && !activity.isFresh(BootInstant(105.1)))
    }
}
