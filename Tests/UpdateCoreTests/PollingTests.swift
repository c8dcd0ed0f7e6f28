import Testing

@testable import UpdateCore

@Suite struct PollingTests {
    private var started: World {
        var world = World()
        world.start()
        return world
    }

    private var asking: World {
        var world = started
        world.poll()
        return world
    }

    @Test func theFirstPollWaitsForTheSplay() {
        let world = started
        #expect(!world.asks)
        let wait = world.state.poll.next - world.now
        #expect((0...1800).contains(wait) && wait > 0)
    }

    @Test func aPollAsksWithTheInstalledVersion() {
        var world = started
        world.policy.devKey = "aa"
        world.policy.devModelKey = "m"
        world.policy.appointVersionCode = 7
        world.now = world.state.poll.next
        world.handle(.tick)
        let question = Question(urlKey: "box", versionCode: 1, appointVersionCode: 7, devModelKey: "m", devKey: "aa")
        #expect(world.effects.contains(.ask(question)))
    }

    @Test func thereIsOnePollAtATime() {
        var world = asking
        world.now = world.now + 1e6
        world.handle(.tick)
        #expect(!world.asks)
    }

    @Test func latestMeansUpToDateUntilTheNextInterval() {
        var world = asking
        world.answer(.latest)
        #expect(world.notices == [.upToDate(world.installed)])
        #expect((19_440...23_760).contains(world.state.poll.next - world.now))
        #expect(statusText(world.state, world.context).hasPrefix("Up to date (v1, code 1); next check at 2"))
    }

    @Test(
        arguments: [
            Trouble.rateLimited(retryAfter: nil), .server(status: 503, detail: "", retryAfter: nil),
            .network("no route"),
            .tls("bad certificate"), .unreadable("HTML"), .worker("died"),
        ])
    func congestionBacksOffAndIsForgottenByTheNextAnswer(trouble: Trouble) {
        var world = asking
        for failures in 1...9 {
            world.answer(.trouble(trouble))
            #expect(world.state.poll.mood == .troubled(failures: failures))
            let bound =
                if case .rateLimited = trouble { 21_600.0 } else { min(60 * Double(1 << (failures - 1)), 3600) }
            #expect(world.state.poll.next - world.now <= bound + 0.001)
            #expect(world.state.lastError == trouble.line)
            world.poll()
        }
        world.answer(.latest)
        #expect(world.state.poll.mood == .answered)
        #expect(world.state.lastError == nil)
    }

    @Test(arguments: [400, 401, 404])
    func misconfigurationIsShownAndRetriedHourly(status: Int) {
        var world = asking
        let problem = Misconfiguration(status: status, code: status * 1000 + 1, message: "no", traceID: "t")
        world.answer(.misconfigured(problem))
        #expect((3240...3960).contains(world.state.poll.next - world.now))
        #expect(statusText(world.state, world.context).contains("HTTP \(status)"))
        #expect(world.notices.first?.level == .error)
        // The operator mends it: the next check is soon.
        world.handle(.configurationChanged)
        #expect(world.state.poll.next - world.now <= 60)
    }

    @Test func anUnknownInstalledVersionIsTheOperatorsToMend() {
        var world = started
        world.installed = .unknown("cannot open /x: No such file or directory")
        world.now = world.state.poll.next
        world.handle(.tick)
        #expect(!world.asks)
        #expect(world.state.lastError?.contains("/x") == true)
        #expect((3240...3960).contains(world.state.poll.next - world.now))
    }

    @Test func aTLSFailureWithAnUnsetClockIsNamedAndRetriedOnceTheClockIsSet() {
        var world = asking
        world.wallClock = WallTime(unixSeconds: 3600)
        for _ in 1...8 {
            world.answer(.trouble(.tls("certificate is not yet valid")))
            world.state.poll.isRunning = true
        }
        world.answer(.trouble(.tls("certificate is not yet valid")))
        #expect(world.notices == [.clockExplainsTLS(Trouble.tls("certificate is not yet valid").line)])
        #expect(statusText(world.state, world.context).contains("clock of this box is not set"))
        world.state.poll.next = world.now + 3000
        // Looked at every ten seconds, not at the end of the back-off.
        #expect(nextWakeUp(world.state, world.context) == world.now + 10)
        world.now = world.now + 10
        world.handle(.tick)
        #expect(world.state.poll.next - world.now > 2000)
        world.wallClock = WallTime(unixSeconds: 1_900_000_000)
        world.now = world.now + 10
        world.handle(.tick)
        #expect(world.notices == [.clockSet])
        #expect(world.state.poll.next - world.now <= 30)
    }

    @Test func aTLSFailureWithARightClockIsJustThat() {
        var world = asking
        world.answer(.trouble(.tls("self-signed")))
        #expect(!world.state.poll.awaitsClock)
    }

    @Test func theServersClockIsRememberedForThisBoot() {
        var world = asking
        let clock = ServerClock(bootID: "boot-1", atBoot: 1_900_000_000)
        world.handle(.asked(AskReport(answer: .latest, serverClock: clock)))
        #expect(world.state.serverClock == clock)
        world.bootID = "boot-2"
        world.start()
        #expect(world.state.serverClock == nil)
    }

    @Test func aRestartInTheSameBootKeepsTheNextPoll() {
        var world = asking
        world.answer(.trouble(.network("down")))
        let next = world.state.poll.next
        world.start()
        #expect(world.state.poll.next == next)
    }

    @Test func aNewBootSplaysAnew() {
        var world = asking
        world.answer(.latest)
        world.bootID = "boot-2"
        world.now = BootInstant(5)
        world.start()
        #expect((0...1800).contains(world.state.poll.next - world.now))
    }

    /// Whatever its clock shows: it asks within half an hour if it was never answered, or not in two starts.
    @Test func aBoxThatIsSeldomOnComesToAsk() {
        func firstDelays(_ boots: Int, answered: Bool) -> [Seconds] {
            (0..<200).map { seed in
                var world = answered ? asking : World()
                if answered { world.answer(.latest) }
                world.policy.schedule.splay = 21_600
                world.seed = UInt64(seed) << 20
                for boot in 1...boots {
                    world.bootID = "boot-\(seed)-\(boot)"
                    world.now = BootInstant(5)
                    world.start()
                }
                return world.state.poll.next - world.now
            }
        }
        #expect(firstDelays(1, answered: false).allSatisfy { $0 <= 1800 })
        #expect(firstDelays(1, answered: true).contains { $0 > 18_000 })
        // The power came back, and went once more.
        #expect(firstDelays(2, answered: true).contains { $0 > 18_000 })
        #expect(firstDelays(3, answered: true).allSatisfy { $0 <= 1800 })
    }

    @Test func theOperatorCanCheckAtOnce() {
        var world = asking
        world.answer(.latest)
        world.handle(.command(.check))
        #expect(world.asks)
    }

    /// A reply that brings the agent down is not fetched again with each restart.
    @Test func anAgentThatDiesOfTheAnswerAsksEverMoreRarely() {
        var world = World()
        world.start()
        world.poll()
        var waits: [Seconds] = []
        for _ in 0..<40 {
            #expect(world.asks || world.state.poll.isRunning)
            world.handle(.started(found: nil))
            #expect(!world.asks, "not at once")
            waits.append(world.state.poll.next - world.now)
            world.poll()
        }
        #expect(waits.allSatisfy { $0 > 0 && $0 <= world.policy.schedule.backOffCap })
        #expect(waits.suffix(20).reduce(0, +) / 20 > 900, "in the middle half of the cap")
        world.answer(.latest)
        #expect(world.state.poll.unheard == 0)
    }

    /// Polls that were missed are not made up for.
    @Test(arguments: [3600.0, 36_000, 864_000, 315_360_000])
    func aLongStandbyCostsOnePoll(standby: Seconds) {
        var world = World()
        world.start()
        world.poll()
        world.answer(.latest)
        world.now = world.now + 21_600 * 1.1 + standby
        world.handle(.tick)
        #expect(world.asks)
        world.answer(.latest)
        world.handle(.tick)
        #expect(!world.asks)
        let next = nextWakeUp(world.state, world.context).map { $0 - world.now } ?? 0
        #expect(next >= 21_600 * 0.9)
    }
}
