import Testing

@testable import UpdateCore

/// What prompt, silent and forced mean to the people in front of the box, at virtual time.
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
        world.answer(.offer(World.offer(2, type)))
        if downloaded { world.download() }
        return world
    }

    private let tv = Inhibitor(what: [.install], who: "TV", why: "recording")

    // MARK: silent

    @Test func silentWaitsForTheWindowAndSaysSo() {
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

    @Test func silentWaitsForAnInhibitorToGo() {
        var world = world(2) { $0.policy.windows = [] }
        #expect(world.installs)
        world = self.world(2, downloaded: false) { $0.policy.windows = [] }
        world.inhibitors = [tv]
        world.download()
        #expect(!world.installs)
        #expect(
            statusText(world.state, world.context) == "Ready to install v2 (code 2) held back by TV: recording")
        world.pass(100 * 3600)
        #expect(!world.installs, "as long as it takes")
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.installs)
    }

    @Test func aBoxThatDoesNotKnowTheTimeKnowsNoWindow() {
        var world = world(2) { $0.wallClock = WallTime(unixSeconds: 100) }
        #expect(!world.installs)
        #expect(statusText(world.state, world.context).contains("does not know the time yet"))
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
        #expect(world.installs, "no window holds it")
    }

    @Test func anInhibitorHoldsForcedForABoundedTime() {
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

    @Test func aRestartAnnouncesTheDeadlineAgain() {
        var world = world(3)
        world.start()
        #expect(world.effects.contains { if case .announce(.installPending) = $0 { true } else { false } })
        // In another boot it is given its time again.
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
        #expect(world.installs, "whoever says now means now, window or not")
    }

    @Test func tonightMeansTheNextWindow() {
        var world = world(1)
        world.handle(.command(.accept(versionCode: 2, .window)))
        #expect(!world.installs)
        world.pass(15 * 3600)
        #expect(world.installs)
    }

    @Test func aRecordingHoldsEvenWhatIsWantedNow() {
        var world = world(1)
        world.inhibitors = [tv]
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(!world.installs)
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.installs)
    }

    @Test func deferralsAreCountedAndThenItIsAskedAtEveryOpportunity() {
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

    @Test func aDeferralIsBounded() {
        let world = world(1)
        for seconds in [0, 59, 8 * 86_400, Seconds.infinity, .nan] {
            #expect(
                refusal(of: .postpone(versionCode: 2, seconds), world.state, world.context)?.isInvalidArgument == true)
        }
    }

    @Test func aConsentNeverFallsOnAnOfferThatNobodySaw() {
        var world = world(1)
        world.answer(.offer(World.offer(3, 1)))
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

    @Test func rejectionIsOfThatVersionOnly() {
        var world = world(1)
        world.handle(.command(.reject(versionCode: 2)))
        #expect(world.state.work == nil)
        world.answer(.offer(World.offer(2, 1)))
        #expect(world.state.work == nil)
        world.answer(.offer(World.offer(3, 1)))
        #expect(world.state.work?.offer.versionCode == 3)
    }

    @Test func latestWhileOneWaitsWithdrawsNothing() {
        var world = world(1)
        world.poll()
        world.answer(.latest)
        #expect(world.state.work?.step == .consent)
    }

    @Test func downloadMayWaitForConsentToo() {
        var world = world(1, downloaded: false) { $0.policy.downloadBeforeConsent = false }
        #expect(!world.downloads && world.asksForConsent)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.downloads)
    }

    // MARK: cancel

    @Test func aCancelledDownloadStopsAndAnAcceptanceIsTakenBack() {
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

    @Test func whoCancelledMayChangeTheirMind() {
        var world = world(1, downloaded: false)
        world.handle(.command(.cancel))
        #expect(!world.downloads)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.downloads)
    }

    @Test func aCancelledSilentVersionComesBackTomorrow() {
        var world = world(2) { $0.policy.windows = [] }
        world = self.world(2)
        world.handle(.command(.cancel))
        #expect(statusText(world.state, world.context).hasPrefix("v2 (code 2) waits: cancelled; next try "))
    }

    // MARK: downloads

    @Test func anInhibitedDownloadStopsAndGoesOn() {
        var world = world(2, downloaded: false)
        world.inhibitors = [Inhibitor(what: [.download], who: "film", why: "")]
        world.handle(.tick)
        #expect(world.effects.contains(.stopDownload))
        #expect(statusText(world.state, world.context) == "Ready to download v2 (code 2) held back by film")
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.downloads)
    }

    // MARK: restarts

    private func installed(_ type: Int, _ reboot: RebootPolicy, isRollback: Bool = false) -> World {
        var world = world(type) {
            $0.policy.windows = []
            $0.policy.gracePeriod = 0
        }
        if type == 1 { world.handle(.command(.accept(versionCode: 2, .now))) }
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.policy.reboot = reboot
        world.finishInstall(.needsRestart(isRollback: isRollback))
        return world
    }

    @Test func immediateRestartsAtOnce() {
        #expect(installed(2, .immediate).restarts)
    }

    @Test func aRestartMayWaitForTheWindow() {
        var world = installed(2, .window)
        #expect(!world.restarts)
        #expect(
            statusText(world.state, world.context).hasPrefix("Restarting in the next maintenance window, on "))
        world.pass(15 * 3600)
        #expect(world.restarts)
    }

    @Test func aRestartMayWaitForConsent() {
        var world = installed(2, .ask)
        world.pass(15 * 3600)
        #expect(!world.restarts)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.restarts)
    }

    @Test func aRestartIsHeldBackByWhoInhibitsIt() {
        var world = installed(2, .ask)
        world.inhibitors = [Inhibitor(what: [.reboot], who: "TV", why: "")]
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(!world.restarts)
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.restarts)
    }

    @Test func theWayBackIsNotKeptWaiting() {
        #expect(installed(2, .window, isRollback: true).restarts)
        #expect(installed(3, .ask).restarts, "forced neither")
    }

    @Test func aRestartThatDidNotComeIsTriedAgain() {
        var world = installed(2, .immediate)
        guard case .restarting(let id)? = world.state.work?.step else {
            Issue.record("\(String(describing: world.state.work?.step))")
            return
        }
        world.handle(.installed(id, .restartRefused("a recording")))
        #expect(
            statusText(world.state, world.context).hasPrefix(
                "v2 (code 2) waits: the box cannot be restarted: a recording; next try "))
        world.pass(7200)
        #expect(world.effects.contains(.resumeInstall(id)))
        world.handle(.installed(id, .needsRestart(isRollback: false)))
        #expect(world.restarts)
    }

    // MARK: files and history

    @Test func aFileThatSomebodyBringsIsInstalledNow() {
        var world = World()
        world.start()
        world.handle(.fileOffered(Offer(file: "/usb/v2.tar", urlKey: "box", versionCode: 2), World.artifact))
        #expect(world.installs)
        var other = World()
        other.start()
        other.handle(.fileOffered(Offer(file: "/usb/v1.tar", urlKey: "box", versionCode: 1), World.artifact))
        #expect(!other.installs && other.state.work == nil)
    }

    @Test func theHistoryIsBoundedAndTellsWhatBecameOfEachTry() {
        var world = world(2) { $0.policy.windows = [] }
        world.finishInstall(.rolledBack("no luck"))
        #expect(world.state.history.map(\.result) == [.rolledBack])
        #expect(world.state.history[0].reason == "rolled back: no luck" && world.state.history[0].bytes == 1000)
        for code in 3..<80 {
            world.handle(.asked(AskReport(answer: .offer(World.offer(code, 1)))))
            world.download(code)
            world.handle(.command(.reject(versionCode: code)))
        }
        #expect(world.state.history.count == Attempt.remembered)
        #expect(world.state.history.last?.versionCode == 79 && world.state.history.last?.result == .rejected)
    }
}

extension World {
    /// Lets time pass on both clocks, and the agent look.
    fileprivate mutating func pass(_ seconds: Seconds) {
        now = now + seconds
        wallClock = wallClock + seconds
        handle(.tick)
        // What a poll brings is not the matter here.
        if state.poll.isRunning {
            let before = effects
            answer(.latest)
            effects = before + effects
        }
    }

    fileprivate var asksForConsent: Bool {
        effects.contains { if case .announce(.consentWanted) = $0 { true } else { false } }
    }

    fileprivate var restarts: Bool { effects.contains { if case .restart = $0 { true } else { false } } }
}
