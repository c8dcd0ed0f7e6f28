import Testing

@testable import UpdateCore

/// How prompt, silent and forced updates behave towards the user, with virtual time.
@Suite struct PolicyTests {
    /// Wednesday, 14 January 2026, noon UTC; the windows are from 02:00 to 05:00.
    private func world(_ type: Int, downloaded: Bool = true, _ change: (inout World) -> Void = { _ in }) -> World {
        var world = World()
        world.wallClock = WallTime(unixSeconds: 1_768_392_000)
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.policy.gracePeriod = 300
        change(&world)
        world.start()
        world.poll()
        world.respond(.offer(World.offer(2, type)))
        if downloaded { world.download() }
        return world
    }

    private let tv = Inhibitor(what: [.install], who: "TV", why: "recording")

    // MARK: silent

    @Test func silentWaitsForTheWindowAndShowsIt() {
        var world = world(2)
        #expect(world.state.work?.step == .ready)
        #expect(!world.installs)
        #expect(
            statusText(world.state, world.context).hasPrefix(
                "Ready to install v2 (code 2) in the next maintenance window, on "))
        world.pass(3600)
        #expect(!world.installs)
        world.pass(14 * 3600)
        #expect(world.installs)
    }

    @Test func silentWaitsUntilAnInhibitorEnds() {
        var world = world(2) { $0.policy.windows = [] }
        #expect(world.installs)
        world = self.world(2, downloaded: false) { $0.policy.windows = [] }
        world.inhibitors = [tv]
        world.download()
        #expect(!world.installs)
        #expect(
            statusText(world.state, world.context) == "Ready to install v2 (code 2) delayed by TV: recording")
        world.pass(100 * 3600)
        #expect(!world.installs, "without a time limit")
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.installs)
    }

    @Test func withoutAClockNoWindowIsOpen() {
        var world = world(2) { $0.wallClock = WallTime(unixSeconds: 100) }
        #expect(!world.installs)
        #expect(statusText(world.state, world.context).contains("the time is not known yet"))
        world.wallClock = WallTime(unixSeconds: 1_768_392_000 + 15 * 3600)
        world.handle(.tick)
        #expect(world.installs)
    }

    // MARK: forced

    @Test func forcedIsAnnouncedWithADeadlineAndThenInstalled() {
        var world = world(3)
        let deadline = world.now + 300
        #expect(world.effects.contains(.announce(.installPending(World.offer(2, 3), deadline: deadline))))
        #expect(!world.installs)
        #expect(nextWakeUp(world.state, world.context) == deadline)
        #expect(
            statusText(world.state, world.context) == "Ready to install v2 (code 2) at 12:05 (forced)")
        world.pass(299)
        #expect(!world.installs)
        world.pass(2)
        #expect(world.installs, "windows do not delay it")
    }

    @Test func anInhibitorDelaysForcedForALimitedTime() {
        var world = world(3)
        world.inhibitors = [tv]
        world.pass(301)
        #expect(!world.installs)
        world.pass(3590)
        #expect(!world.installs)
        #expect(nextWakeUp(world.state, world.context).map { $0 - world.now < 20 } == true)
        world.pass(20)
        #expect(world.installs)
    }

    @Test func aRestartOfTheAgentAnnouncesTheDeadlineAgain() {
        var world = world(3)
        world.start()
        #expect(world.effects.contains { if case .announce(.installPending) = $0 { true } else { false } })
        // A new boot at the same time of day does not start a new grace period.
        world.bootID = "boot-2"
        world.now = BootInstant(10)
        world.start()
        #expect(world.state.work?.deadline == BootInstant(310))
    }

    @Test func forcedCannotBeCancelledRejectedOrDeferred() {
        let world = world(3)
        for command: Command in [.cancel, .reject(versionCode: 2), .postpone(versionCode: 2, 3600)] {
            #expect(refusal(of: command, world.state, world.context) != nil, "\(command)")
        }
    }

    // MARK: prompt

    @Test func promptIsAnnouncedAndAnAcceptanceInstallsNow() {
        var world = world(1)
        #expect(world.effects.contains(.announce(.consentWanted(World.offer(2, 1)))))
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.installs, "an acceptance for now does not wait for a window")
    }

    @Test func anAcceptanceForTheNextWindowWaitsForIt() {
        var world = world(1)
        world.handle(.command(.accept(versionCode: 2, .window)))
        #expect(!world.installs)
        world.pass(15 * 3600)
        #expect(world.installs)
    }

    @Test func anInhibitorDelaysEvenAnAcceptedUpdate() {
        var world = world(1)
        world.inhibitors = [tv]
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(!world.installs)
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.installs)
    }

    @Test func deferralsAreCountedAndThenConsentIsRequestedEveryHour() {
        var world = world(1)
        for left in [2, 1, 0] {
            world.handle(.command(.postpone(versionCode: 2, 3600)))
            #expect(world.notices == [.deferred(World.offer(2, 1), by: 3600, left: left)])
            world.pass(3590)
            #expect(!world.asksForConsent)
            world.pass(20)
            #expect(world.asksForConsent)
        }
        let refused = refusal(of: .postpone(versionCode: 2, 3600), world.state, world.context)
        #expect(refused?.description == "v2 (code 2) was deferred 3 times, which is the limit")
        world.pass(3601)
        #expect(world.asksForConsent, "every hour")
        world.start()
        world.pass(1)
        world.pass(3601)
        #expect(world.asksForConsent)
    }

    @Test func theLengthOfADeferralIsLimited() {
        let world = world(1)
        for seconds in [0, 59, 8 * 86_400, Seconds.infinity, .nan] {
            #expect(
                refusal(of: .postpone(versionCode: 2, seconds), world.state, world.context)?.isInvalidArgument == true)
        }
    }

    @Test func aCommandForAReplacedOfferIsRefused() {
        var world = world(1)
        world.respond(.offer(World.offer(3, 1)))
        world.download(3)
        let commands: [Command] = [
            .accept(versionCode: 2, .now), .reject(versionCode: 2), .postpone(versionCode: 2, 3600),
        ]
        for command in commands {
            #expect(
                refusal(of: command, world.state, world.context)?.description
                    == "version 2 is not the one that is offered, which is v3 (code 3)")
            world.handle(.command(command))
            #expect(world.state.work?.step == .consent && world.state.work?.deferrals == 0)
        }
    }

    @Test func aRejectionAppliesToThatVersionOnly() {
        var world = world(1)
        world.handle(.command(.reject(versionCode: 2)))
        #expect(world.state.work == nil)
        world.respond(.offer(World.offer(2, 1)))
        #expect(world.state.work == nil)
        world.respond(.offer(World.offer(3, 1)))
        #expect(world.state.work?.offer.versionCode == 3)
    }

    @Test func latestDoesNotWithdrawAWaitingOffer() {
        var world = world(1)
        world.poll()
        world.respond(.latest)
        #expect(world.state.work?.step == .consent)
    }

    @Test func theDownloadMayWaitForConsent() {
        var world = world(1, downloaded: false) { $0.policy.downloadBeforeConsent = false }
        #expect(!world.downloads && world.asksForConsent)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.downloads)
    }

    // MARK: cancel

    @Test func cancelStopsADownloadAndWithdrawsAnAcceptance() {
        var world = world(1, downloaded: false)
        world.handle(.command(.cancel))
        #expect(world.effects.contains(.stopDownload))
        world = self.world(1)
        world.handle(.command(.accept(versionCode: 2, .window)))
        world.handle(.command(.cancel))
        #expect(world.state.work?.step == .consent && world.state.work?.hasConsent == false)
        world.pass(15 * 3600)
        #expect(!world.installs)
    }

    @Test func aCancelledUpdateCanBeAcceptedLater() {
        var world = world(1, downloaded: false)
        world.handle(.command(.cancel))
        #expect(!world.downloads)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.downloads)
    }

    @Test func aCancelledSilentVersionIsRetriedLater() {
        var world = world(2) { $0.policy.windows = [] }
        world = self.world(2)
        world.handle(.command(.cancel))
        #expect(statusText(world.state, world.context).hasPrefix("v2 (code 2) waits: cancelled; next try "))
    }

    // MARK: downloads

    @Test func anInhibitedDownloadStopsAndContinuesLater() {
        var world = world(2, downloaded: false)
        world.inhibitors = [Inhibitor(what: [.download], who: "film", why: "")]
        world.handle(.tick)
        #expect(world.effects.contains(.stopDownload))
        #expect(statusText(world.state, world.context) == "Ready to download v2 (code 2) delayed by film")
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.downloads)
    }

    // MARK: reboots

    private func installed(_ type: Int, _ reboot: RebootPolicy, isRollback: Bool = false) -> World {
        var world = world(type) {
            $0.policy.windows = []
            $0.policy.gracePeriod = 0
        }
        if type == 1 { world.handle(.command(.accept(versionCode: 2, .now))) }
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.policy.reboot = reboot
        world.finishInstall(.needsReboot(isRollback: isRollback))
        return world
    }

    @Test func immediateRebootsAtOnce() {
        #expect(installed(2, .immediate).reboots)
    }

    @Test func aRebootMayWaitForTheWindow() {
        var world = installed(2, .window)
        #expect(!world.reboots)
        #expect(
            statusText(world.state, world.context).hasPrefix("Rebooting in the next maintenance window, on "))
        world.pass(15 * 3600)
        #expect(world.reboots)
    }

    @Test func aRebootMayWaitForConsent() {
        var world = installed(2, .ask)
        world.pass(15 * 3600)
        #expect(!world.reboots)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.reboots)
    }

    @Test func anInhibitorDelaysAReboot() {
        var world = installed(2, .ask)
        world.inhibitors = [Inhibitor(what: [.reboot], who: "TV", why: "")]
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(!world.reboots)
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.reboots)
    }

    @Test func rollbacksAndForcedUpdatesRebootAtOnce() {
        #expect(installed(2, .window, isRollback: true).reboots)
        #expect(installed(3, .ask).reboots, "a forced update")
    }

    @Test func aRefusedRebootIsRetried() {
        var world = installed(2, .immediate)
        guard case .rebooting(let id)? = world.state.work?.step else {
            Issue.record("\(String(describing: world.state.work?.step))")
            return
        }
        world.handle(.installed(id, .rebootRefused("a recording")))
        #expect(
            statusText(world.state, world.context).hasPrefix(
                "v2 (code 2) waits: the device cannot be rebooted: a recording; next try "))
        world.pass(7200)
        #expect(world.effects.contains(.resumeInstall(id)))
        world.handle(.installed(id, .needsReboot(isRollback: false)))
        #expect(world.reboots)
    }

    // MARK: files and history

    @Test func aNewerLocalFileIsInstalledAtOnce() {
        var world = World()
        world.start()
        world.handle(.fileOffered(Offer(file: "/usb/v2.tar", urlKey: "device", versionCode: 2), World.artifact))
        #expect(world.installs)
        var other = World()
        other.start()
        other.handle(.fileOffered(Offer(file: "/usb/v1.tar", urlKey: "device", versionCode: 1), World.artifact))
        #expect(!other.installs && other.state.work == nil)
    }

    @Test func theHistoryIsBoundedAndHasTheResultOfEachAttempt() {
        var world = world(2) { $0.policy.windows = [] }
        world.finishInstall(.rolledBack("no luck"))
        #expect(world.state.history.map(\.result) == [.rolledBack])
        #expect(world.state.history[0].reason == "rolled back: no luck" && world.state.history[0].bytes == 1000)
        for code in 3..<80 {
            world.handle(.checked(CheckReport(response: .offer(World.offer(code, 1)))))
            world.download(code)
            world.handle(.command(.reject(versionCode: code)))
        }
        #expect(world.state.history.count == Attempt.remembered)
        #expect(world.state.history.last?.versionCode == 79 && world.state.history.last?.result == .rejected)
    }
}
