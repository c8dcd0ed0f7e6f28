import Testing

@testable import UpdateCore

/// What each command of the user changes, logs and announces, and what it leaves alone.
@Suite struct CommandTests {
    private var windows: [MaintenanceWindow] { [MaintenanceWindow("02:00-05:00")].compactMap { $0 } }

    private func stops(_ world: World) -> Bool { world.effects.contains(.stopDownload) }

    @Test func aRejectionIsLoggedAndAnnounced() {
        for isDownloaded in [true, false] {
            var world = offered(1)
            if isDownloaded { world.download() }
            world.handle(.command(.reject(versionCode: 2)))
            #expect(world.notices.first == .rejected(World.offer(2, 1)) && stops(world) == !isDownloaded)
            let ended = world.effects.compactMap {
                if case .announce(.finished(let attempt)) = $0 { attempt.result } else { nil }
            }
            #expect(ended == [.rejected])
        }
    }

    @Test func theLatestRejectionsAreRemembered() {
        var world = World()
        world.start()
        for code in 2...20 {
            world.respond(.offer(World.offer(code, 1)))
            world.handle(.command(.reject(versionCode: code)))
        }
        #expect(world.state.rejected == Array(13...20))
    }

    @Test func aCancellationIsLoggedAndStopsOnlyADownload() {
        for isDownloaded in [true, false] {
            var world = offered(2) {
                $0.wallClock = DecisionTests.noon
                $0.policy.windows = windows
            }
            if isDownloaded { world.download() }
            world.handle(.command(.cancel))
            #expect(world.notices == [.cancelled(World.offer(2))] && stops(world) == !isDownloaded)
            #expect(world.state.work?.windowWait == nil && world.state.work?.hasConsent == true)
            guard case .later(let at, .cancelled)? = world.state.work?.step else {
                Issue.record("it is not cancelled")
                return
            }
            #expect((77_759...95_041).contains(at - world.now))
        }
    }

    @Test func anAcceptanceEndsWhatWasDecidedBefore() {
        var world = offered(1)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.notices == [.consentGiven(World.offer(2, 1))])
        world = offered(1)
        world.state.work?.isCancelled = true
        world.state.work?.askAgainAt = world.now + 60
        world.state.work?.pause = Pause(now: world.now, length: 60)
        world.state.work?.windowWait = WindowWait(now: world.now)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.state.work?.isCancelled == nil && world.state.work?.askAgainAt == nil)
        #expect(world.state.work?.pause == nil && world.state.work?.timing == .now)
        #expect(world.state.work?.windowWait != nil, "only a wait for the next window begins anew")
    }

    /// Each announcement opens a window on the screen.
    @Test func consentIsRequestedOnceAtTheEndOfADeferral() {
        for deferrals in [3, 1] {
            var world = offered(1) { $0.policy.maximumDeferrals = deferrals }
            world.download()
            world.handle(.command(.postpone(versionCode: 2, 3600)))
            world.pass(3601)
            #expect(world.asksForConsent)
            world.handle(.tick)
            #expect(!world.asksForConsent)
            world.pass(3590)
            #expect(!world.asksForConsent)
            world.pass(20)
            #expect(world.asksForConsent == (deferrals == 1), "without a deferral left, every hour")
        }
    }

    @Test func theConsentToARebootDoesNotChooseATimeForTheInstallation() {
        for (timing, chosen) in [(Timing.now, nil), (.window, .window)] as [(Timing, Timing?)] {
            var world = offered(2) {
                $0.wallClock = DecisionTests.noon
                $0.policy.reboot = .ask
            }
            world.download()
            world.policy.windows = windows
            world.finishInstall(.needsReboot(isRollback: false))
            world.state.work?.windowWait = WindowWait(now: world.now)
            world.handle(.command(.accept(versionCode: 2, timing)))
            #expect(world.state.work?.mayReboot == true && world.state.work?.timing == chosen)
            #expect((world.state.work?.windowWait == nil) == (timing == .window))
            #expect(world.reboots == (timing == .now))
        }
    }

    /// It would change nothing.
    @Test func aForcedVersionAndAnInstallationNeedNoAcceptance() {
        var world = offered(3) {
            $0.wallClock = DecisionTests.noon
            $0.policy.gracePeriod = 300
            $0.policy.windows = windows
        }
        world.download()
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) != nil)
        world = offered(2)
        world.download()
        world.wallClock = DecisionTests.noon
        world.policy.windows = windows
        #expect(world.installID != nil)
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) != nil)
    }

    /// The offer that waits keeps its time, and so do the checks.
    @Test func aRetryOfAnotherVersionChangesNothingElse() {
        var world = offered(1, 3)
        world.download(3)
        world.state.rejected = [2]
        let (work, next) = (world.state.work, world.state.poll.next)
        world.handle(.command(.retry(versionCode: 2)))
        #expect(world.state.rejected.isEmpty && !world.checks)
        #expect(world.state.work == work && world.state.poll.next == next)
    }

    @Test func aVersionThatWasInstalledBeforeHasNotBecomeInstalled() {
        var work = Work(
            offer: World.offer(2), step: .ready, hasConsent: true, started: WallTime(unixSeconds: 0),
            since: BootInstant(0))
        let installed = InstalledVersion.known(versionCode: 2, versionName: nil)
        for (before, hasBecome) in [(1, true), (2, false), (nil, false)] as [(Int?, Bool)] {
            work.installedBefore = before
            #expect(work.hasBecomeInstalled(installed) == hasBecome)
        }
        work.installedBefore = 1
        #expect(!work.hasBecomeInstalled(.known(versionCode: 3, versionName: nil)))
    }

    @Test func aFileCanBeGivenUnlessAnotherVersionIsBeingWorkedOn() {
        #expect(refusalOfFile(AgentState()) == nil)
        var world = offered(1)
        #expect(refusalOfFile(world.state)?.description.contains("give the file again later") == true)
        world.download()
        #expect(world.state.work?.step == .consent && refusalOfFile(world.state) == nil)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(refusalOfFile(world.state) != nil)
    }

    @Test func anOfferIsLogged() {
        #expect(offered(2).notices.first == .offered(World.offer(2)))
        var world = World()
        world.start()
        let file = Offer(file: "/usb/v2.tar", urlKey: "device", versionCode: 2)
        world.handle(.fileOffered(file, World.artifact))
        #expect(world.notices.first == .offered(file))
    }
}
