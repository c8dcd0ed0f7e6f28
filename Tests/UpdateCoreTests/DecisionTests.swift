import FoundationEssentials
import Testing

@testable import UpdateCore

/// What the user decided for a while stays decided across reboots, with right, wrong and unset clocks.
@Suite struct DecisionTests {
    /// 14 January 2026, noon UTC.
    static let noon = WallTime(unixSeconds: 1_768_392_000)
    static let day: Seconds = 86_400
    static let unset = WallTime(unixSeconds: 100)

    /// A device that was offered a version, has downloaded it, and requests consent.
    func prompted(at clock: WallTime = noon) -> World {
        var world = offered(1) { $0.wallClock = clock }
        world.download()
        return world
    }

    // MARK: deferrals

    @Test func aDeferralIsNotAskedAgainAtABoot() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        for _ in 0..<4 {
            world.pass(3600)
            world.reboot(after: 8 * 3600)
            #expect(!world.asksForConsent, "not before the end")
            #expect(world.state.work?.deferrals == 1, "a boot uses up none")
            #expect(statusText(world.state, world.context).contains("asking again"))
        }
        // 36 of 48 hours have passed.
        let isAsked = world.asks(after: 12 * 3600, within: 60)
        #expect(isAsked)
        #expect(world.state.work?.pause == nil)
    }

    @Test func aDeferralThatEndedWhileTheDeviceWasOffIsAskedAfterTheFirstResponse() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 3600)))
        world.reboot(after: 4000)
        #expect(!world.asksForConsent, "the clock may be wrong")
        world.hear()
        #expect(world.asksForConsent)
        #expect(world.effects.count { if case .announce(.consentWanted) = $0 { true } else { false } } == 1)
    }

    @Test func withoutANetworkTheClockCountsAfterTenMinutes() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 3600)))
        world.reboot(after: 4000)
        while !world.asksForConsent, world.now < BootInstant(1000) { world.sleepAlone() }
        #expect(world.asksForConsent && (600..<602).contains(world.now.seconds), "\(world.now)")
    }

    /// NTP sets a clock that is years ahead a few seconds after the boot.
    @Test func aClockInTheFutureAtTheBootEndsNoDeferral() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.reboot(after: 3600, clock: Self.noon + 3650 * Self.day)
        #expect(!world.asksForConsent)
        world.pass(20)
        #expect(!world.asksForConsent)
        world.wallClock = Self.noon + 3620
        world.handle(.tick)
        world.hear()
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: 2 * Self.day - 3620, within: 120)
        #expect(isAsked)
    }

    @Test func aPlausibleClockThatIsCorrectedAfterAnHourEndsNoDeferral() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 7 * Self.day)))
        world.reboot(after: 3600, clock: Self.noon + -30 * Self.day)
        for _ in 0..<70 { world.pass(60) }
        world.wallClock = Self.noon + 3600 + 4200
        world.handle(.tick)
        #expect(!world.asksForConsent && world.state.work?.pause != nil)
        world.reboot(after: 3600)
        world.hear()
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: 7 * Self.day - 7800, within: 3700)
        #expect(isAsked)
    }

    @Test func aDeferredVersionCanBeAcceptedAfterTheReboot() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.reboot(after: 3600)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.installs)
        #expect(world.state.work?.pause == nil)
    }

    /// Without a battery the clock shows 1970 at each boot, and is set some time later.
    @Test func aClockThatIsSetAfterTheBootEndsTheDeferralInTime() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.reboot(after: 1.5 * Self.day, clock: Self.unset)
        #expect(!world.asksForConsent)
        let right = Self.noon + 1.5 * Self.day
        world.pass(30)
        world.wallClock = right + 30
        world.handle(.tick)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: Self.day / 2, within: 1000)
        #expect(isAsked)
    }

    @Test func theServersTimeEndsTheDeferralToo() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.reboot(after: 3 * Self.day, clock: Self.unset)
        #expect(!world.asksForConsent)
        world.state.poll.next = world.now
        world.handle(.tick)
        let server = ServerClock(
            bootID: world.bootID, atBoot: Self.noon.unixSeconds + 3 * Self.day - world.now.seconds)
        world.handle(.checked(CheckReport(response: .latest, serverClock: server)))
        #expect(world.asksForConsent)
    }

    @Test func aDeferralMadeWithAnUnsetClockCountsFromTheDecision() {
        var world = prompted(at: Self.unset)
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.pass(3600)
        world.wallClock = Self.noon
        world.handle(.tick)
        #expect(!world.asksForConsent, "a clock that is set ends nothing")
        world.reboot(after: Self.day)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: 23 * 3600, within: 120)
        #expect(isAsked)
    }

    @Test func withoutAnyClockTheTimeCountsDuringWhichTheDeviceIsOn() {
        var world = prompted(at: Self.unset)
        world.handle(.command(.postpone(versionCode: 2, Self.day)))
        var boots = 0
        while !world.asksForConsent, boots < 20 {
            // Four hours an evening; the agent wakes up once an hour to store what has passed.
            for _ in 0..<4 where !world.asksForConsent {
                #expect(nextWakeUp(world.state, world.context).map { $0 - world.now <= 3600 } == true)
                world.pass(3600)
            }
            if !world.asksForConsent { world.reboot(after: 20 * 3600, clock: Self.unset) }
            boots += 1
        }
        #expect(boots == 6)
    }

    @Test func aClockInTheFutureThatIsCorrectedInTheSameBootDoesNoHarm() {
        var world = prompted(at: Self.noon + 3650 * Self.day)
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.pass(60)
        world.wallClock = Self.noon
        world.handle(.tick)
        world.reboot(after: Self.day)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: Self.day, within: 120)
        #expect(isAsked)
    }

    @Test func aClockInTheFutureThatIsCorrectedAfterTheBootDoesNotExtendTheDeferral() {
        var world = prompted(at: Self.noon + 3650 * Self.day)
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.pass(60)
        world.reboot(after: 60, clock: Self.noon)
        #expect(!world.asksForConsent)
        #expect(world.state.work?.askAgainAt.map { $0 - world.now <= 2 * Self.day } == true, "not longer than it was")
        // After an hour with that clock it counts, also while the device is off.
        world.pass(4000)
        world.reboot(after: Self.day)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: Self.day - 4060, within: 120)
        #expect(isAsked)
    }

    /// An image without a clock's battery boots with the date of its build, and NTP sets the clock some time later.
    @Test func aBootInThePastDoesNotLoseTheDeferral() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.reboot(after: 3600, clock: WallTime(unixSeconds: 1_750_000_000))
        #expect(!world.asksForConsent)
        world.pass(60)
        world.wallClock = Self.noon + 3660
        world.handle(.tick)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: 2 * Self.day - 3660, within: 120)
        #expect(isAsked)
    }

    @Test func aJumpOfTheClockInTheBootOfTheDecisionChangesNothing() {
        for jump in [-3650 * Self.day, -3600, 3600, 3650 * Self.day] {
            var world = prompted()
            world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
            world.wallClock = world.wallClock + jump
            world.pass(2 * Self.day - 60)
            #expect(!world.asksForConsent, "\(jump)")
            world.pass(120)
            #expect(world.asksForConsent, "\(jump)")
        }
    }

    @Test func theReminderWithoutADeferralIsRequestedAtEachBoot() {
        var world = prompted()
        world.policy.maximumDeferrals = 0
        world.start()
        #expect(world.asksForConsent)
        world.reboot(after: 60)
        #expect(world.asksForConsent)
    }

    @Test func theLastDeferralLastsToo() {
        var world = prompted()
        world.policy.maximumDeferrals = 1
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.reboot(after: Self.day)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: Self.day, within: 60)
        #expect(isAsked)
    }

    /// A server may give the file a new address with each response.
    @Test func aNewAddressOfTheFileDoesNotEndADeferral() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.pass(3600)
        world.state.poll.next = world.now
        world.handle(.tick)
        world.respond(.offer(World.offer(2, 1, url: "http://other.example/v")))
        #expect(world.downloads && !world.asksForConsent)
        world.download()
        #expect(world.state.work?.step == .consent && !world.asksForConsent)
        world.reboot(after: 3600)
        #expect(!world.asksForConsent)
        let isAsked = world.asks(after: 2 * Self.day - 7200, within: 120)
        #expect(isAsked)
    }

    @Test func aNewAddressWhileDownloadsAreInhibitedDoesNotEndADeferral() {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        world.inhibitors = [Inhibitor(what: [.download], who: "TV", why: "")]
        world.pass(3600)
        world.state.poll.next = world.now
        world.handle(.tick)
        world.respond(.offer(World.offer(2, 1, url: "http://other.example/v")))
        #expect(world.state.work?.step == .ready && !world.asksForConsent)
        world.pass(600)
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.downloads)
        world.download()
        #expect(world.state.work?.step == .consent && !world.asksForConsent)
        let isAsked = world.asks(after: 2 * Self.day - 4200, within: 120)
        #expect(isAsked)
    }

    // MARK: forced versions

    func forced(gracePeriod: Seconds) -> World {
        var world = offered(3) {
            $0.wallClock = Self.noon
            $0.policy.gracePeriod = gracePeriod
        }
        world.download()
        return world
    }

    @Test func switchingOffAndOnDoesNotDelayAForcedVersion() {
        var world = forced(gracePeriod: 3600)
        world.pass(600)
        world.reboot(after: 600)
        #expect(world.state.work?.deadline.map { abs($0 - world.now - 2400) < 90 } == true)
        #expect(world.effects.contains { if case .announce(.installPending) = $0 { true } else { false } })
        // The deadline has passed while the device was off: the user still sees the announcement for a minute.
        world.reboot(after: 86_400)
        #expect(world.state.work?.deadline == world.now + 60)
        world.pass(59)
        #expect(!world.installs)
        world.pass(2)
        #expect(world.installs)
    }

    @Test func aShortGracePeriodStaysShort() {
        var world = forced(gracePeriod: 5)
        world.reboot(after: 60)
        #expect(world.state.work?.deadline == world.now + 5)
    }

    @Test func withoutAClockAForcedVersionWaitsForTheRestOnly() {
        var world = forced(gracePeriod: 7200)
        world.wallClock = Self.unset
        for _ in 0..<10 where !world.installs {
            world.pass(1000)
            if !world.installs { world.reboot(after: 60, clock: Self.unset) }
        }
        #expect(world.installs)
    }

    @Test func anInhibitorDelaysAForcedVersionForItsLimitAfterABoot() {
        var world = forced(gracePeriod: 300)
        world.inhibitors = [Inhibitor(what: [.install], who: "TV", why: "")]
        world.reboot(after: 3600)
        world.pass(3000)
        #expect(!world.installs)
        world.pass(700)
        #expect(world.installs, "the deadline does not move any more")
    }

    // MARK: stored states

    /// A state of 0.1.0 has none of these fields.
    @Test func anEarlierStateMeansWhatItMeant() throws {
        var world = offered(2) { $0.wallClock = Self.noon }
        world.handle(.command(.cancel))
        try world.storeWithoutNewFields()
        world.start()
        #expect(!world.downloads, "in the same boot")
        world.reboot(after: 3600)
        #expect(!world.downloads, "the cancellation lasts")
        world.reboot(after: 1.2 * Self.day)
        world.hear()
        #expect(world.downloads)
        world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        try world.storeWithoutNewFields()
        world.reboot(after: 3600)
        #expect(world.asksForConsent, "its end is unknown")
    }

    @Test func damagedFieldsAreBounded() throws {
        var world = prompted()
        world.handle(.command(.postpone(versionCode: 2, 2 * Self.day)))
        let text = String(decoding: try JSONEncoder().encode(world.state), as: UTF8.self)
        for (length, counted) in [("1e300", "0"), ("-1e300", "1e300"), ("172800", "-1e300")] {
            let damaged = text.replacing("\"length\":172800", with: "\"length\":\(length)")
                .replacing("\"counted\":0", with: "\"counted\":\(counted)")
            #expect(damaged != text)
            var other = world
            other.state = try JSONDecoder().decode(AgentState.self, from: Array(damaged.utf8).data)
            other.reboot(after: 60)
            if let at = other.state.work?.askAgainAt { #expect(at - other.now <= 7 * Self.day) }
        }
    }
}

extension [UInt8] {
    fileprivate var data: Data { Data(self) }
}
