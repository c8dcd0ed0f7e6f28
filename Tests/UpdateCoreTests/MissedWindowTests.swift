import Testing

@testable import UpdateCore

/// Devices that are switched off in every maintenance window, and versions that wait for one in vain.
@Suite struct MissedWindowTests {
    /// Wednesday, 14 January 2026, noon UTC; the windows are from 02:00 to 05:00.
    private static let noon = WallTime(unixSeconds: 1_768_392_000)
    private static let day: Seconds = 86_400
    private static let unset = WallTime(unixSeconds: 100)

    private func waiting(_ type: Int = 2, _ change: (inout World) -> Void = { _ in }) -> World {
        var world = offered(type) {
            $0.wallClock = Self.noon
            $0.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
            change(&$0)
        }
        world.download()
        if type == 1 { world.handle(.command(.accept(versionCode: 2, .window))) }
        #expect(world.state.work?.step == .ready)
        return world
    }

    private func isOverdue(_ world: World) -> Bool { world.state.work.map(world.context.isOverdue) ?? false }

    // MARK: when a version is overdue

    @Test(arguments: [1, 2]) func aVersionIsOverdueAfterTheLimitAndAMissedWindow(type: Int) {
        var world = waiting(type)
        for _ in 0..<3 {
            #expect(!isOverdue(world) && warnings(world.state, world.context).isEmpty)
            world.evening()
        }
        #expect(isOverdue(world))
        #expect(statusText(world.state, world.context).contains("no maintenance window could be used for 3 d"))
        let warning = warnings(world.state, world.context).first ?? ""
        #expect(warning.contains("install.windows") && warning.contains("install.missedWindows"), "\(warning)")
        #expect(!world.installs)
    }

    @Test func aDeviceThatIsOnInTheWindowUsesIt() {
        var world = waiting()
        world.pass(15 * 3600)
        #expect(world.installs)
    }

    @Test func aWeeklyWindowThatIsStillToComeIsNotMissed() {
        var world = waiting { $0.policy.windows = [MaintenanceWindow("Sun 02:00-05:00")].compactMap { $0 } }
        world.evening(nights: 3)
        world.pass(7 * 3600)
        #expect(!isOverdue(world), "Saturday")
        world.evening()
        #expect(isOverdue(world), "the window of Sunday has passed")
    }

    @Test func theLimitCanBeSwitchedOff() {
        var world = waiting { $0.policy.windowLimit = 0 }
        world.evening(nights: 30)
        #expect(!isOverdue(world))
        #expect(warnings(world.state, world.context).isEmpty)
    }

    @Test func theAgentWakesUpWhenTheLimitIsReached() {
        var world = waiting()
        world.inhibitors = [Inhibitor(what: [.install], who: "TV", why: "")]
        let limit = world.now + 3 * Self.day
        while let wake = nextWakeUp(world.state, world.context), limit - wake > 1 { world.pass(wake - world.now + 1) }
        #expect(nextWakeUp(world.state, world.context).map { abs($0 - limit) < 5 } == true)
        world.pass(limit - world.now + 1)
        #expect(isOverdue(world), "the windows were inhibited")
        #expect(statusText(world.state, world.context).contains("delayed by TV"))
    }

    @Test func aClockThatIsSetFrom1970DoesNotMakeItOverdue() {
        var world = waiting { $0.wallClock = Self.unset }
        world.pass(100)
        world.wallClock = Self.noon + 30 * Self.day
        world.handle(.tick)
        world.pass(100)
        #expect(!isOverdue(world) && !world.installs)
        // Nor in a later boot.
        world.reboot(after: 3600, clock: Self.unset)
        world.pass(100)
        world.wallClock = Self.noon + 30 * Self.day + 4000
        world.handle(.tick)
        #expect(!isOverdue(world))
        world.evening(nights: 3)
        #expect(isOverdue(world))
    }

    @Test func aClockThatJumpsInTheBootOfTheDownloadDoesNotMakeItOverdue() {
        for jump in [-30 * Self.day, 30 * Self.day, 3650 * Self.day] {
            var world = waiting()
            world.pass(60)
            world.wallClock = world.wallClock + jump
            world.handle(.tick)
            world.reboot(after: 3600)
            world.pass(60)
            #expect(!isOverdue(world), "\(jump)")
        }
    }

    @Test func aClockThatIsBehindAtTheBootDoesNotForgetTheWait() {
        var world = waiting()
        world.evening(nights: 2)
        let right = world.wallClock
        // The image's date, until NTP sets the clock.
        world.reboot(after: 0, clock: WallTime(unixSeconds: 1_750_000_000))
        world.pass(30)
        world.wallClock = right + 25 * 3600
        world.hear()
        #expect(isOverdue(world))
    }

    @Test func aWaitThatBeganInTheFutureStartsAgain() {
        var world = waiting { $0.wallClock = Self.noon + 3650 * Self.day }
        world.pass(60)
        world.reboot(after: 0, clock: Self.noon)
        world.pass(3700)
        world.evening(nights: 2)
        #expect(!isOverdue(world))
        world.evening()
        #expect(isOverdue(world))
    }

    // MARK: idle

    private func overdue(_ type: Int = 2, _ change: (inout World) -> Void = { _ in }) -> World {
        var world = waiting(type, change)
        world.evening(nights: 3)
        #expect(isOverdue(world))
        return world
    }

    @Test func anIdleDeviceInstalls() {
        var world = overdue()
        #expect(needsActivity(world.state, world.context))
        #expect(nextWakeUp(world.state, world.context).map { $0 - world.now <= 60 } == true)
        // The boot itself is a use of the device.
        world.observe(idleFor: 10_000)
        #expect(!world.installs)
        world.pass(1700)
        world.observe(idleFor: 1700)
        #expect(!world.installs)
        world.pass(200)
        #expect(!world.installs, "the observation is too old")
        world.observe(idleFor: 1900)
        #expect(world.installs)
    }

    @Test func aDeviceInUseDoesNotInstall() {
        var world = overdue()
        world.pass(3600)
        world.activity = Activity(
            observed: world.now, Logins(sessions: [.init(user: "kiosk", use: .active)]), lastUse: BootInstant(0))
        world.handle(.tick)
        #expect(!world.installs)
        #expect(
            statusText(world.state, world.context).hasPrefix(
                "Ready to install v2 (code 2) as soon as the device is not in use (kiosk is active); no maintenance window"
            ))
        world.inhibitors = [Inhibitor(what: [.install], who: "TV", why: "")]
        world.observe(idleFor: 3500)
        #expect(!world.installs, "the agent's inhibitors count, too")
    }

    @Test func aSessionThatNeverReportsCountsAsUseAndIsNamed() {
        var world = overdue()
        let sessions: [Logins.Session] = [
            .init(user: "root", use: .idle(since: BootInstant(0))), .init(user: "kiosk", use: .unknown),
        ]
        world.activity = Activity(observed: world.now, Logins(sessions: sessions), lastUse: BootInstant(0))
        world.handle(.tick)
        #expect(!world.installs)
        let lines = warnings(world.state, world.context)
        #expect(lines.count == 2 && lines[1].contains("kiosk") && lines[1].contains("SetIdleHint"), "\(lines)")
    }

    @Test func activityIsTheLatestUse() {
        let now = BootInstant(10_000)
        let sessions: [Logins.Session] = [
            .init(user: "a", use: .idle(since: BootInstant(4000))),
            .init(user: "b", use: .idle(since: BootInstant(2000))),
        ]
        #expect(
            Activity(observed: now, Logins(sessions: sessions), lastUse: BootInstant(0)).idleSince == BootInstant(4000))
        #expect(
            Activity(observed: now, Logins(sessions: sessions), lastUse: BootInstant(5000)).idleSince
                == BootInstant(5000))
        #expect(Activity(observed: now, Logins(), lastUse: BootInstant(100)).idleSince == BootInstant(100))
        #expect(Activity(observed: now, nil, lastUse: BootInstant(0)).idleSince == nil)
        #expect(Activity(observed: now, Logins(inhibitor: "TV"), lastUse: BootInstant(0)).idleSince == nil)
    }

    // MARK: boot, ask, wait

    /// A version that became overdue after the last boot.
    private func overdueForBoot() -> World {
        var world = overdue { $0.policy.missedWindows = .wait }
        world.policy.missedWindows = .boot
        world.handle(.configurationChanged)
        #expect(world.state.work?.step == .ready)
        return world
    }

    @Test func aVersionThatIsOverdueAtTheBootIsInstalledRightAfterIt() {
        var world = waiting { $0.policy.missedWindows = .boot }
        world.evening(nights: 2)
        #expect(!world.installs)
        world.reboot(after: 26 * 3600)
        #expect(!world.installs, "the clock may be wrong")
        world.hear()
        #expect(isOverdue(world) && !world.installs && !world.state.installsAtBoot)
        world.reboot(after: 60)
        #expect(world.installs && world.state.installsAtBoot)
    }

    @Test func anOverdueVersionIsInstalledRightAfterABoot() {
        var world = overdueForBoot()
        world.pass(3600)
        #expect(!world.installs && !world.state.installsAtBoot)
        #expect(statusText(world.state, world.context).contains("right after the next boot"))
        // Also if the clock is not set yet.
        world.reboot(after: 3600, clock: Self.unset)
        #expect(world.installs && world.state.installsAtBoot)
        world.policy.reboot = .window
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(world.reboots, "the reboot belongs to it")
    }

    /// The boot must not wait for the user interface, which must start before a user can consent.
    @Test func aRebootThatWaitsDoesNotHoldTheBootBack() {
        for isInhibited in [true, false] {
            var world = overdueForBoot()
            if !isInhibited { world.policy.reboot = .ask }
            world.reboot(after: 3600)
            #expect(world.installs && world.state.installsAtBoot)
            if isInhibited { world.inhibitors = [Inhibitor(what: [.reboot], who: "TV", why: "")] }
            world.finishInstall(.needsReboot(isRollback: false))
            #expect(!world.reboots && !world.state.installsAtBoot)
        }
    }

    @Test func anAgentThatIsStartedLateInstallsNothing() {
        var world = overdueForBoot()
        world.bootID = "late"
        world.now = BootInstant(4000)
        world.start()
        #expect(!world.installs && !world.state.installsAtBoot)
        // In a container CLOCK_BOOTTIME began with the host.
        world.bootID = "container"
        world.bootBegan = BootInstant(3990)
        world.start()
        #expect(world.installs)
    }

    @Test func aRestartOfTheAgentIsNoBoot() {
        var world = overdueForBoot()
        world.start()
        #expect(!world.installs)
    }

    @Test func consentMayBeRequested() {
        var world = overdue { $0.policy.missedWindows = .ask }
        #expect(world.state.work?.step == .consent)
        #expect(statusText(world.state, world.context).contains("Waiting for consent"))
        world.handle(.command(.postpone(versionCode: 2, 7200)))
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) == nil)
        world.reboot(after: 3600)
        #expect(!world.asksForConsent)
        world.pass(3700)
        #expect(world.asksForConsent)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.installs)
    }

    @Test func theRequestIsWithdrawnIfTheOperatorChangesHisMind() {
        var world = overdue { $0.policy.missedWindows = .ask }
        world.policy.missedWindows = .wait
        world.handle(.configurationChanged)
        #expect(world.state.work?.step == .ready)
        world.handle(.tick)
        #expect(world.state.work?.step == .ready && !world.installs)
    }

    @Test func anOverdueVersionMayWaitForTheWindow() {
        var world = overdue { $0.policy.missedWindows = .wait }
        world.pass(3600)
        #expect(!world.installs && !needsActivity(world.state, world.context))
        #expect(statusText(world.state, world.context).contains("in the next maintenance window"))
        #expect(!warnings(world.state, world.context).isEmpty)
        world.pass(14 * 3600)
        #expect(world.installs)
    }

    @Test(arguments: MissedWindows.allCases) func theWindowIsStillUsed(missed: MissedWindows) {
        var world = overdue { $0.policy.missedWindows = missed }
        let noon = world.now
        while !world.installs, world.now - noon < 20 * 3600 { world.sleepAlone() }
        #expect(world.installs && (13.9 * 3600..<14.1 * 3600).contains(world.now - noon), "\(world.now - noon)")
    }

    @Test(arguments: MissedWindows.allCases) func anOverdueRebootStillUsesTheWindow(missed: MissedWindows) {
        var world = overdueReboot(missed)
        let began = world.now
        while !world.reboots, world.now - began < 24 * 3600 { world.sleepAlone() }
        #expect(world.reboots && world.now - began < 24 * 3600, "\(world.now - began)")
    }

    @Test func aDeferralAlsoLastsInAWindow() {
        var world = overdue { $0.policy.missedWindows = .ask }
        world.handle(.command(.postpone(versionCode: 2, 15 * 3600)))
        let noon = world.now
        while !world.installs, world.now - noon < 20 * 3600 { world.sleepAlone() }
        #expect(world.installs && (14.9 * 3600..<15.1 * 3600).contains(world.now - noon), "\(world.now - noon)")
    }

    @Test func aVersionThatBecomesAPromptIsNotInstalledInTheWindow() {
        var world = overdue { $0.policy.missedWindows = .ask }
        world.state.poll.next = world.now
        world.handle(.tick)
        world.respond(.offer(World.offer(2, 1)))
        #expect(world.state.work?.step == .consent)
        world.pass(14.5 * 3600)
        #expect(world.state.work?.step == .consent && !world.installs)
    }

    @Test func aSilentVersionThatAsksCanBeDeferredButNotRejected() {
        let world = overdue { $0.policy.missedWindows = .ask }
        #expect(world.state.work?.isUpToUser == true)
        let refused = refusal(of: .reject(versionCode: 2), world.state, world.context)
        #expect(refused?.description.contains("is silent") == true)
        #expect(offered(2).state.work?.isUpToUser == false)
    }

    @Test func aClockInTheFutureAtTheBootDoesNotMakeItOverdue() {
        for network in [true, false] {
            var world = waiting()
            world.pass(60)
            world.reboot(after: 3600, clock: Self.noon + 3650 * Self.day)
            world.pass(network ? 20 : 700)
            if network { #expect(!isOverdue(world)) }
            world.wallClock = Self.noon + 4400
            world.handle(.tick)
            world.hear()
            #expect(!isOverdue(world), "not for ever")
        }
    }

    /// The device looks each minute whether it is idle. Each state that is stored wears the flash memory.
    @Test func theWaitForAnIdleDeviceIsSeldomStored() throws {
        var world = overdue()
        world.pass(60)
        var stored = 0
        for _ in 0..<50 {
            let wake = try #require(nextWakeUp(world.state, world.context))
            #expect(wake - world.now <= 61)
            world.activity = Activity(observed: wake, Logins(inhibitor: "TV"), lastUse: wake)
            let before = world.state.work
            world.pass(wake - world.now)
            if world.state.work != before { stored += 1 }
        }
        // With the result of a check, which is stored in any case.
        #expect(stored <= 2, "\(stored)")
    }

    @Test func anAcceptanceForTheNextWindowWaitsAnew() {
        var world = overdue { $0.policy.missedWindows = .ask }
        world.handle(.command(.accept(versionCode: 2, .window)))
        #expect(world.state.work?.step == .ready && !isOverdue(world))
        world.evening(nights: 2)
        #expect(world.state.work?.step == .ready)
        world.evening()
        #expect(world.state.work?.step == .consent)
    }

    // MARK: reboots

    /// The reboot of an installation has missed its windows.
    private func overdueReboot(_ missed: MissedWindows) -> World {
        var world = offered(2) {
            $0.wallClock = Self.noon
            $0.policy.reboot = .window
            $0.policy.missedWindows = missed
        }
        world.download()
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.finishInstall(.needsReboot(isRollback: false))
        // The device is on all day, and a recording inhibits the reboot at night.
        world.inhibitors = [Inhibitor(what: [.reboot], who: "TV", why: "")]
        world.pass(3.1 * Self.day)
        world.inhibitors = []
        world.handle(.tick)
        #expect(isOverdue(world) && !world.reboots, "\(missed)")
        return world
    }

    @Test func aRebootThatMissesItsWindowsFollowsTheSameRule() {
        for missed in MissedWindows.allCases {
            var world = overdueReboot(missed)
            switch missed {
            case .idle:
                world.observe(idleFor: 1900)
                #expect(world.reboots)
            case .ask:
                world.handle(.command(.accept(versionCode: 2, .now)))
                #expect(world.reboots)
            case .boot, .wait:
                world.pass(60)
                #expect(!world.reboots)
            }
        }
    }
}

extension World {
    /// The device is switched off at 17:00 and on again at noon, three quarters of an hour before the next poll or wake-up.
    fileprivate mutating func evening(nights: Int = 1) {
        for _ in 0..<nights {
            pass(5 * 3600)
            reboot(after: 19 * 3600 + 60)
            hear()
        }
    }

    /// The agent observes that the device has not been used for this long.
    fileprivate mutating func observe(idleFor seconds: Seconds) {
        activity = Activity(observed: now, Logins(), lastUse: BootInstant(now.seconds - seconds))
        handle(.tick)
    }
}
