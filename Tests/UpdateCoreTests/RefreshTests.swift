import Testing

@testable import UpdateCore

/// The server offers the version again that is being worked on, perhaps with other fields.
@Suite struct RefreshTests {
    private func announces(_ world: World) -> Bool {
        world.effects.contains { if case .announce = $0 { true } else { false } }
    }

    private func notes(_ world: World, _ isNotice: (Notice) -> Bool) -> Bool { world.notices.contains(where: isNotice) }

    @Test func theSameOfferChangesNothing() {
        var world = offered(1)
        world.download()
        let before = world.state.work
        world.poll()
        world.respond(.offer(World.offer(2, 1)))
        #expect(world.state.work == before && !announces(world) && !world.downloads)
        #expect(world.effects.contains(.emptyInbox(upTo: 2)))
        #expect(world.notices.isEmpty)
    }

    /// A check may end while a download runs that began after it.
    @Test func anotherAddressStartsTheDownloadAgain() {
        var world = offered(2)
        let moved = World.offer(2, url: "http://mirror.example/")
        world.respond(.offer(moved))
        #expect(world.effects.contains(.stopDownload) && world.effects.contains(.download(moved)))
        #expect(world.state.work?.offer == moved && world.state.work?.step == .downloading)
    }

    @Test func anotherAddressDoesNotDisturbTheInstallation() {
        var world = offered(2)
        world.download()
        let step = world.state.work?.step
        world.respond(.offer(World.offer(2, url: "http://mirror.example/")))
        #expect(world.state.work?.step == step && world.state.work?.offer == World.offer(2))
        #expect(!world.downloads && !world.installs && world.effects.contains(.emptyInbox(upTo: 2)))
    }

    @Test func anotherTypeDoesNotDisturbTheDownload() {
        var world = offered(2)
        world.respond(.offer(World.offer(2, 3)))
        #expect(!world.effects.contains(.stopDownload) && !world.downloads)
        #expect(world.state.work?.offer == World.offer(2, 3))
        world.download()
        #expect(world.installs)
    }

    @Test func theVerifiedFileIsKeptOnlyForTheSameAddress() {
        for (url, isKept) in [("http://files.example/v", true), ("http://mirror.example/", false)] {
            var world = offered(1)
            world.download()
            world.state.work?.obstacles = 3
            world.state.work?.goneSince = world.wallClock
            world.poll()
            world.respond(.offer(World.offer(2, 0, url: url)))
            #expect((world.state.work?.artifact != nil) == isKept && world.downloads == !isKept)
            #expect(world.state.work?.obstacles == (isKept ? 3 : 0))
            #expect((world.state.work?.goneSince != nil) == isKept)
        }
    }

    /// The user has deferred the version. That its file comes from another address is no reason to ask at once.
    @Test func aVersionThatIsDownloadedAgainStaysDeferred() {
        var world = offered(1)
        world.download()
        world.handle(.command(.postpone(versionCode: 2, 2 * 86_400)))
        let end = world.now + 2 * 86_400
        world.poll()
        world.respond(.offer(World.offer(2, 1, url: "http://mirror.example/")))
        #expect(world.downloads)
        world.download()
        #expect(!world.notices.contains(.consentWanted(World.offer(2, 1, url: "http://mirror.example/"))))
        #expect(world.state.work?.step == .consent)
        #expect(world.state.work?.askAgainAt.map { abs($0 - end) < 1 } == true)
    }

    @Test func aVersionThatIsNoLongerForcedHasNoDeadline() {
        var world = offered(3) { $0.policy.gracePeriod = 7200 }
        world.download()
        #expect(world.state.work?.deadline != nil)
        world.respond(.offer(World.offer(2, 2)))
        #expect(world.installs && world.state.work?.deadline == nil)
        // And the other way round.
        world = offered(1) { $0.policy.gracePeriod = 7200 }
        world.download()
        world.respond(.offer(World.offer(2, 3)))
        #expect(!world.installs && world.state.work?.deadline == world.now + 7200)
        #expect(world.effects.contains(.announce(.installPending(World.offer(2, 3), deadline: world.now + 7200))))
    }

    @Test func aConsentIsKept() {
        var world = offered(1) {
            $0.wallClock = DecisionTests.noon
            $0.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        }
        world.download()
        world.handle(.command(.accept(versionCode: 2, .window)))
        world.respond(.offer(World.offer(2, 0)))
        #expect(world.state.work?.hasConsent == true && world.state.work?.step == .ready)
    }

    /// The publisher has second thoughts about a version that needed no consent.
    @Test(arguments: [2, 3]) func aVersionThatBecomesAPromptIsNotInstalledWithoutConsent(type: Int) {
        for isDownloaded in [true, false] {
            var world = offered(type) {
                $0.wallClock = DecisionTests.noon
                $0.policy.gracePeriod = 7200
                $0.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
            }
            if isDownloaded { world.download() }
            world.respond(.offer(World.offer(2, 1)))
            if !isDownloaded { world.download() }
            #expect(world.state.work?.step == .consent)
            #expect(world.effects.contains(.announce(.consentWanted(World.offer(2, 1)))))
            world.pass(15 * 3600)
            #expect(!world.installs)
            world.handle(.command(.accept(versionCode: 2, .now)))
            #expect(world.installs)
        }
        // The user has chosen the window for a silent version.
        var world = offered(2) {
            $0.wallClock = DecisionTests.noon
            $0.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        }
        world.download()
        world.state.work?.timing = .window
        world.respond(.offer(World.offer(2, 1)))
        #expect(world.state.work?.step == .ready && world.state.work?.hasConsent == true)
    }

    @Test func anOfferThatMustWaitIsNotRemovedFromTheInbox() {
        var world = offered(2)
        world.download()
        world.respond(.offer(World.offer(3)))
        #expect(world.state.poll.isOfferHeld == true && world.state.work?.offer.versionCode == 2)
        #expect(!world.effects.contains { if case .emptyInbox = $0 { true } else { false } })
        world.respond(.offer(World.offer(1, 2)))
        #expect(world.effects.contains(.emptyInbox(upTo: 1)), "only what it refuses")
    }

    /// The check after the installation reads the inbox, once.
    @Test func anOfferThatWaitedCausesOneCheck() {
        var world = offered(2)
        world.download()
        world.respond(.offer(World.offer(3)))
        world.installed = .known(versionCode: 2, versionName: nil)
        world.finishInstall(.committed)
        #expect(world.checks && world.state.poll.isOfferHeld == nil)
        world.respond(.latest)
        world.handle(.tick)
        #expect(!world.checks && world.state.poll.next - world.now > 19_000)
    }

    @Test func anOlderOfferIsRemovedFromTheInbox() {
        var world = offered(1, 5)
        world.download(5)
        world.respond(.offer(World.offer(4)))
        #expect(world.effects.contains(.emptyInbox(upTo: 4)) && world.state.work?.offer.versionCode == 5)
        #expect(!world.downloads)
    }

    // MARK: the next check

    /// No roll-out quota is consumed by an offer that the user has rejected: the checks keep their interval.
    @Test func aRefusedOfferIsRequestedAgainAfterAnIntervalUnlessOnlyThePublisherCanHelp() {
        for (offer, low, high) in [
            (World.offer(2, urlKey: "other"), 77_759.0, 95_041.0), (World.offer(1), 19_439, 23_761),
        ] {
            var world = World()
            world.start()
            world.poll()
            world.respond(.offer(offer))
            #expect((low...high).contains(world.state.poll.next - world.now))
            #expect((world.state.lastError != nil) == (low > 70_000))
        }
    }

    @Test func anIntervalOfMoreThanADayAlsoCountsWhileAnOfferWaits() {
        var world = offered(1) { $0.policy.schedule.interval = 7 * 86_400 }
        #expect(world.state.poll.next - world.now >= 0.9 * 7 * 86_400)
        world.download()
        world.poll()
        world.respond(.latest)
        #expect(world.state.poll.next - world.now >= 0.9 * 7 * 86_400)
    }

    @Test func theEndOfAnOfferEndsTheLongWaitForTheNextCheck() {
        var world = offered(1)
        world.download()
        #expect(world.state.poll.next - world.now > 77_000)
        world.handle(.command(.reject(versionCode: 2)))
        #expect((19_439...23_761).contains(world.state.poll.next - world.now))
    }

    /// A device that is several versions behind finds the next one soon, and devices that are updated together do not ask together.
    @Test func theCheckAfterAnUpdateIsSpreadOverTheSplay() {
        for (splay, bound) in [(1800.0, 1800.0), (50_000, 21_600)] {
            var waits: [Seconds] = []
            for seed in 0..<60 {
                var world = offered(2) { $0.policy.schedule.splay = splay }
                world.download()
                world.installed = .known(versionCode: 2, versionName: nil)
                world.seed = UInt64(seed) << 20
                world.finishInstall(.committed)
                waits.append(world.state.poll.next - world.now)
            }
            #expect(waits.allSatisfy { (0...bound).contains($0) })
            #expect(waits.contains { $0 > bound * 0.8 } && waits.contains { $0 < bound * 0.2 })
        }
    }

    @Test func aMisconfiguredDeviceChecksHourlyForADayAndThenDaily() {
        var world = World()
        world.start()
        world.poll()
        let problem = Misconfiguration(status: 401, code: 401_001, message: "", traceID: nil)
        for failures in 1...26 {
            world.respond(.misconfigured(problem))
            #expect(world.state.poll.outcome == .misconfigured(failures: failures))
            let wait = world.state.poll.next - world.now
            #expect(failures <= 24 ? (3239...3961).contains(wait) : (77_759...95_041).contains(wait), "\(failures)")
        }
        world.respond(.transientError(.network("down")))
        #expect(world.state.poll.outcome == .failing(failures: 1), "another kind counts anew")
        world.respond(.misconfigured(problem))
        #expect(world.state.poll.outcome == .misconfigured(failures: 1))
    }
}
