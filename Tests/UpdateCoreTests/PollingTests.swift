import Testing

@testable import UpdateCore

@Suite struct PollingTests {
    private var started: World {
        var world = World()
        world.start()
        return world
    }

    private var polling: World {
        var world = started
        world.poll()
        return world
    }

    @Test func theFirstPollWaitsForTheSplay() {
        let world = started
        #expect(!world.checks)
        let wait = world.state.poll.next - world.now
        #expect((0...1800).contains(wait) && wait > 0)
    }

    @Test func aPollSendsTheInstalledVersion() {
        var world = started
        world.policy.devKey = "aa"
        world.policy.devModelKey = "m"
        world.policy.appointVersionCode = 7
        world.now = world.state.poll.next
        world.handle(.tick)
        let checkRequest = CheckRequest(
            urlKey: "device", versionCode: 1, appointVersionCode: 7, devModelKey: "m", devKey: "aa")
        #expect(world.effects.contains(.check(checkRequest)))
    }

    @Test func thereIsOnePollAtATime() {
        var world = polling
        world.now = world.now + 1e6
        world.handle(.tick)
        #expect(!world.checks)
    }

    @Test func latestMeansUpToDateUntilTheNextInterval() {
        var world = polling
        world.respond(.latest)
        #expect(world.notices == [.upToDate(world.installed)])
        #expect((19_440...23_760).contains(world.state.poll.next - world.now))
        #expect(statusText(world.state, world.context).hasPrefix("Up to date (v1, code 1); next check at 2"))
    }

    @Test(
        arguments: [
            TransientError.rateLimited(retryAfter: nil), .server(status: 503, detail: "", retryAfter: nil),
            .network("no route"),
            .tls("bad certificate"), .unreadable("HTML"), .worker("died"),
        ])
    func transientErrorsBackOffUntilTheNextResponse(transientError: TransientError) {
        var world = polling
        for failures in 1...9 {
            world.respond(.transientError(transientError))
            #expect(world.state.poll.outcome == .failing(failures: failures))
            let bound =
                if case .rateLimited = transientError { 21_600.0 } else { min(60 * Double(1 << (failures - 1)), 3600) }
            #expect(world.state.poll.next - world.now <= bound + 0.001)
            #expect(world.state.lastError == transientError.line)
            world.poll()
        }
        world.respond(.latest)
        #expect(world.state.poll.outcome == .succeeded)
        #expect(world.state.lastError == nil)
    }

    @Test(arguments: [400, 401, 404])
    func misconfigurationIsShownAndRetriedHourly(status: Int) {
        var world = polling
        let problem = Misconfiguration(status: status, code: status * 1000 + 1, message: "no", traceID: "t")
        world.respond(.misconfigured(problem))
        #expect((3240...3960).contains(world.state.poll.next - world.now))
        #expect(statusText(world.state, world.context).contains("HTTP \(status)"))
        #expect(world.notices.first?.level == .error)
        // The operator fixes the configuration: the next poll is soon.
        world.handle(.configurationChanged)
        #expect(world.state.poll.next - world.now <= 60)
    }

    @Test func anUnknownInstalledVersionIsAMisconfiguration() {
        var world = started
        world.installed = .unknown("cannot open /x: No such file or directory")
        world.now = world.state.poll.next
        world.handle(.tick)
        #expect(!world.checks)
        #expect(world.state.lastError?.contains("/x") == true)
        #expect((3240...3960).contains(world.state.poll.next - world.now))
    }

    @Test func aTLSFailureWithAnUnsetClockIsExplainedAndRetriedOnceTheClockIsSet() {
        var world = polling
        world.wallClock = WallTime(unixSeconds: 3600)
        for _ in 1...8 {
            world.respond(.transientError(.tls("certificate is not yet valid")))
            world.state.poll.isRunning = true
        }
        world.respond(.transientError(.tls("certificate is not yet valid")))
        let line = "the clock of this device is not set, it shows 1970-01-01 01:00"
        #expect(
            world.notices
                == [.clockExplainsTLS("\(line): \(TransientError.tls("certificate is not yet valid").line)")])
        #expect(statusText(world.state, world.context).contains("clock of this device is not set"))
        world.state.poll.next = world.now + 3000
        // The clock is read every ten seconds, not at the end of the back-off.
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

    @Test func aTLSFailureWithACorrectClockDoesNotWaitForTheClock() {
        var world = polling
        world.respond(.transientError(.tls("self-signed")))
        #expect(!world.state.poll.awaitsClock)
    }

    @Test func theServersClockIsKeptUntilTheNextBoot() {
        var world = polling
        let clock = ServerClock(bootID: "boot-1", atBoot: 1_900_000_000)
        world.handle(.checked(CheckReport(response: .latest, serverClock: clock)))
        #expect(world.state.serverClock == clock)
        world.bootID = "boot-2"
        world.start()
        #expect(world.state.serverClock == nil)
    }

    @Test func aRestartOfTheAgentKeepsTheNextPoll() {
        var world = polling
        world.respond(.transientError(.network("down")))
        let next = world.state.poll.next
        world.start()
        #expect(world.state.poll.next == next)
    }

    @Test func aNewBootAppliesTheSplayAgain() {
        var world = polling
        world.respond(.latest)
        world.bootID = "boot-2"
        world.now = BootInstant(5)
        world.start()
        #expect((0...1800).contains(world.state.poll.next - world.now))
    }

    /// A device polls within half an hour of a boot if it never received a response, or none in the last two boots.
    @Test func aDeviceThatIsSeldomOnPollsEarly() {
        func firstDelays(_ boots: Int, hasResponse: Bool) -> [Seconds] {
            (0..<200).map { seed in
                var world = hasResponse ? polling : World()
                if hasResponse { world.respond(.latest) }
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
        #expect(firstDelays(1, hasResponse: false).allSatisfy { $0 <= 1800 })
        #expect(firstDelays(1, hasResponse: true).contains { $0 > 18_000 })
        // One boot without a response does not count.
        #expect(firstDelays(2, hasResponse: true).contains { $0 > 18_000 })
        #expect(firstDelays(3, hasResponse: true).allSatisfy { $0 <= 1800 })
    }

    @Test func theOperatorCanCheckAtOnce() {
        var world = polling
        world.respond(.latest)
        world.handle(.command(.check))
        #expect(world.checks)
    }

    /// A response that crashes the agent is not requested again at once after each restart.
    @Test func anAgentThatCrashesOnAResponseBacksOff() {
        var world = World()
        world.start()
        world.poll()
        var waits: [Seconds] = []
        for _ in 0..<40 {
            #expect(world.checks || world.state.poll.isRunning)
            world.handle(.started(found: nil))
            #expect(!world.checks, "not at once")
            waits.append(world.state.poll.next - world.now)
            world.poll()
        }
        #expect(waits.allSatisfy { $0 > 0 && $0 <= world.policy.schedule.backOffCap })
        #expect(waits.suffix(20).reduce(0, +) / 20 > 900, "on average above a quarter of the cap")
        world.respond(.latest)
        #expect(world.state.poll.unheard == 0)
    }

    /// Missed polls are not repeated.
    @Test(arguments: [3600.0, 36_000, 864_000, 315_360_000])
    func aLongStandbyCausesOnePoll(standby: Seconds) {
        var world = World()
        world.start()
        world.poll()
        world.respond(.latest)
        world.now = world.now + 21_600 * 1.1 + standby
        world.handle(.tick)
        #expect(world.checks)
        world.respond(.latest)
        world.handle(.tick)
        #expect(!world.checks)
        let next = nextWakeUp(world.state, world.context).map { $0 - world.now } ?? 0
        #expect(next >= 21_600 * 0.9)
    }
}
