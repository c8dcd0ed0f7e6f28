import Testing

@testable import UpdateCore

/// What a start of the agent keeps, and what it does again.
@Suite struct StartTests {
    /// The file may have several gigabytes.
    @Test func theStagedFileOfTheOfferIsKept() {
        var world = offered(1)
        world.download()
        world.start()
        #expect(world.effects.contains(.cleanStaging(keep: 2)))
        #expect(!world.effects.contains(.cleanStaging(keep: nil)) && !world.downloads)
        world = World()
        world.start()
        #expect(world.effects.contains(.cleanStaging(keep: nil)))
    }

    @Test func aNewerOfferFromTheInboxReplacesTheOneThatWaits() {
        var world = offered(1)
        world.download()
        world.handle(.started(found: World.offer(3, 1)))
        #expect(world.effects.contains(.emptyInbox(upTo: 3)) && world.effects.contains(.cleanStaging(keep: 3)))
        #expect(world.effects.contains(.download(World.offer(3, 1))))
        #expect(world.state.history.map(\.result) == [.replaced] && world.state.history[0].versionCode == 2)
        world.handle(.started(found: World.offer(2, 1)))
        #expect(world.state.work?.offer.versionCode == 3, "an older one does not")
        #expect(world.effects.contains(.emptyInbox(upTo: 2)))
    }

    /// A new device has no response yet, and its first one may end the agent each time.
    @Test func anAgentThatEndsOnItsFirstResponseDoesNotPollAtOnce() {
        var world = World()
        world.policy.schedule.splay = 0
        world.start()
        for bound in [60.0, 120, 240, 480] {
            world.poll()
            world.start()
            #expect(!world.checks)
            let wait = world.state.poll.next - world.now
            #expect((bound / 2 - 0.1...bound + 0.1).contains(wait), "\(wait)")
        }
    }

    /// Without a response ever, or in two boots in a row.
    @Test func onlyANewDeviceAndOneThatIsSeldomOnAreEager() {
        var poll = World().state.poll
        #expect(poll.isEager)
        poll.lastResponse = WallTime(unixSeconds: 1)
        for (boots, isEager) in [(nil, false), (0, false), (1, false), (2, true), (1000, true)] {
            poll.bootsWithoutResponse = boots
            #expect(poll.isEager == isEager, "\(boots ?? -1)")
        }
    }

    @Test func aRestartBeforeTheFirstCheckStaysWithinTheSplay() {
        var world = World()
        world.start()
        world.now = world.state.poll.next + -1
        world.start()
        #expect((0...1800).contains(world.state.poll.next - world.now) && world.state.poll.outcome == .never)
    }

    /// While an offer waits, the check that the agent did not live to see the end of is repeated a day later.
    @Test func aCheckWithoutAResultIsNotRepeatedBeforeADayIfAnOfferWaits() {
        var world = offered(1)
        world.download()
        world.poll()
        world.start()
        #expect(!world.checks && (77_000...95_041).contains(world.state.poll.next - world.now))
    }

    @Test func theOperatorMayHaveAddedAKey() {
        var world = offered(2) { $0.policy.canVerify = false }
        guard case .later(let at, .noKeys)? = world.state.work?.step else {
            Issue.record("it does not wait for a key")
            return
        }
        #expect(at == world.now + 3600 && world.state.lastErrorCode == .noKeys)
        #expect(world.notices.contains(.noKeys(World.offer(2))))
        world.policy.canVerify = true
        world.start()
        #expect(world.downloads)
    }

    /// Reloads come to all devices at the same time, from a configuration service for example.
    @Test func aReloadDoesNotBringTheNextCheckForward() {
        for response in [CheckResponse.latest, .transientError(.rateLimited(retryAfter: 4000))] {
            var world = World()
            world.start()
            world.poll()
            world.respond(response)
            let next = world.state.poll.next
            world.handle(.configurationChanged)
            #expect(world.state.poll.next == next && !world.checks)
        }
    }

    @Test func aReloadAfterAMisconfigurationIsSpread() {
        var waits: [Seconds] = []
        for seed in 0..<50 {
            var world = World()
            world.start()
            world.poll()
            world.respond(.misconfigured(Misconfiguration(status: 401, code: 401_001, message: "", traceID: nil)))
            world.seed = UInt64(seed) << 20
            world.handle(.configurationChanged)
            waits.append(world.state.poll.next - world.now)
        }
        #expect(waits.allSatisfy { (0...60).contains($0) } && waits.contains { $0 > 40 } && waits.contains { $0 < 20 })
    }

    /// A device that was off for days polls within the splay: the interval has passed.
    @Test func aBootWithAnOfferWaitsOnlyForTheRestOfTheDay() {
        for (off, low, high) in [(3600.0, 70_000.0, 86_400.0), (2 * 86_400, 0, 1800), (-50_000, 0, 1800)] {
            var world = offered(1)
            world.download()
            world.reboot(after: off)
            let wait = world.state.poll.next - world.now
            #expect((low...high).contains(wait), "\(off): \(wait)")
        }
    }

    /// A moment that is due and cannot be used would wake the agent up again and again.
    @Test func theAgentWakesUpForNothingElseThanItsWorker() {
        var world = offered(2)
        world.handle(.reported(id: 1, .delivered))
        #expect(nextWakeUp(world.state, world.context) == nil, "the download")
        world.download()
        world.now = world.now + 4000
        world.handle(.tick)
        #expect(world.state.reports.sending != nil)
        #expect(nextWakeUp(world.state, world.context) == nil, "the installation, and the report of the download")
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(nextWakeUp(world.state, world.context) == world.now + 300, "the reboot")
        world = World()
        world.start()
        world.poll()
        #expect(world.state.reports.sending != nil && nextWakeUp(world.state, world.context) == nil, "the check")
    }

    @Test func withoutAKnownVersionNoStartIsReported() {
        var world = World()
        world.installed = .unknown("cannot open /x")
        world.start()
        #expect(world.state.reports.isEmpty)
        world.installed = .known(versionCode: 7, versionName: nil)
        world.start()
        #expect(world.state.reports.entries.map(\.report.kind) == [.appStart(versionCode: 7)])
        #expect(world.state.reports.entries[0].report.time == world.wallClock)
    }

    /// The worker of the last agent may not have sent it.
    @Test func aReportThatWasBeingSentIsSentAgain() {
        var world = offered(2)
        world.handle(.reported(id: 1, .delivered))
        world.download()
        world.now = world.now + 1800
        world.handle(.tick)
        let id = world.state.reports.sending
        #expect(id != nil)
        world.start()
        #expect(world.state.reports.entries.contains { $0.id == id })
        #expect(world.effects.contains { if case .send = $0 { true } else { false } })
    }
}
