import Testing

@testable import UpdateCore

/// What the core does with `Retry-After`, for each kind of response that can have one.
@Suite struct RetryAfterTests {
    private var polling: World {
        var world = World()
        world.start()
        world.poll()
        return world
    }

    private func unavailable(_ retryAfter: Seconds?) -> TransientError {
        .server(status: 503, detail: "", retryAfter: retryAfter)
    }

    /// The delays of the next poll after this error, with many seeds.
    private func delays(_ error: TransientError, count: Int = 200) -> [Seconds] {
        (0..<count).map { seed in
            var world = polling
            world.seed = UInt64(seed) << 20
            world.respond(.transientError(error))
            return world.state.poll.next - world.now
        }
    }

    @Test func a429WaitsForItAndThenUntilAnyMomentOfTheInterval() {
        let waits = delays(.rateLimited(retryAfter: 7200))
        #expect(waits.allSatisfy { (7200...21_600.1).contains($0) })
        #expect(waits.contains { $0 > 18_000 } && waits.contains { $0 < 10_000 })
        #expect(delays(.rateLimited(retryAfter: nil)).contains { $0 < 7200 })
    }

    @Test func a503WaitsForItAndThenBacksOff() {
        #expect(delays(unavailable(7200)).allSatisfy { (7229.9...7260.1).contains($0) })
        #expect(delays(unavailable(nil)).allSatisfy { (29.9...60.1).contains($0) })
        #expect(delays(unavailable(-100)).allSatisfy { (29.9...60.1).contains($0) })
        #expect(delays(unavailable(0)).allSatisfy { (29.9...60.1).contains($0) })
    }

    @Test func theBackOffGrowsOnTopOfIt() {
        var world = polling
        for bound in [60.0, 120, 240, 480] {
            world.respond(.transientError(unavailable(7200)))
            let wait = world.state.poll.next - world.now
            #expect((7200 + bound / 2 - 0.1...7200 + bound + 0.1).contains(wait), "\(wait)")
            world.poll()
        }
    }

    @Test func aDayIsTheLongestWish() {
        let day = PollSchedule.retryAfterLimit
        for wish in [day, day + 1, 1e9] {
            #expect(delays(unavailable(wish), count: 20).allSatisfy { (day + 29.9...day + 60.1).contains($0) })
            #expect(delays(.rateLimited(retryAfter: wish), count: 20).allSatisfy { (day...day + 60.1).contains($0) })
        }
        #expect(delays(unavailable(day - 1000), count: 20).allSatisfy { $0 < day - 900 })
    }

    /// The wish of the server and the wait of the offer: the longer one counts.
    @Test func anOfferThatWaitsIsNotRequestedAgainBeforeADayHasPassed() {
        for (error, low, high) in [
            (TransientError.rateLimited(retryAfter: 1), 77_760.0, 95_040.1), (unavailable(1), 77_760, 95_040.1),
            (unavailable(86_400), 86_429.9, 95_040.1),
        ] {
            var world = offered(1)
            world.download()
            world.poll()
            world.respond(.transientError(error))
            #expect((low...high).contains(world.state.poll.next - world.now), "\(error)")
        }
    }

    /// A download that is throttled is of one device: it does not wait for a whole interval on top.
    @Test func aDownloadWaitsForIt() {
        for error in [
            TransientError.file("HTTP 503 for the file", retryAfter: 7200), unavailable(7200),
            .rateLimited(retryAfter: 7200),
        ] {
            var world = offered(2)
            world.handle(.downloaded(versionCode: 2, .transientError(error)))
            guard case .later(let at, .transientError)? = world.state.work?.step else {
                Issue.record("it does not wait")
                return
            }
            #expect((7229.9...7260.1).contains(at - world.now), "\(error): \(at - world.now)")
        }
    }

    // MARK: reports

    @Test func aReportWaitsForItToo() {
        for (delivery, low, high) in [
            (Delivery.transientError(.rateLimited(retryAfter: 7200)), 7200.9, 21_600.1),
            (.transientError(unavailable(7200)), 7229.9, 7260.1), (.transientError(unavailable(nil)), 29.9, 60.1),
            (.refused(Misconfiguration(status: 401, code: 401_001, message: "", traceID: nil)), 29.9, 60.1),
        ] {
            var world = polling
            #expect(world.state.reports.sending == 1)
            world.handle(.reported(id: 1, delivery))
            #expect((low...high).contains(world.state.reports.notBefore - world.now), "\(delivery)")
            #expect(world.state.reports.sending == nil && world.state.reports.entries.map(\.tries) == [1])
        }
    }

    @Test func theBackOffOfAReportGrowsWithItsOwnTries() {
        var world = polling
        for (tries, bound) in [(1, 60.0), (2, 120), (3, 240), (4, 480)] {
            world.handle(.reported(id: 1, .transientError(.network("down"))))
            #expect((bound / 2 - 0.1...bound + 0.1).contains(world.state.reports.notBefore - world.now), "\(tries)")
            world.now = world.state.reports.notBefore
            world.handle(.tick)
            #expect(world.state.reports.sending == 1)
        }
    }

    /// A server that cannot serve a check cannot serve a report either.
    @Test func aFailedCheckPutsTheReportsOff() {
        var world = polling
        world.handle(.reported(id: 1, .transientError(.network("down"))))
        world.respond(.transientError(unavailable(7200)))
        #expect(world.state.reports.notBefore == world.state.poll.next)
        // It does not bring them forward.
        world.state.reports.notBefore = world.now + 50_000
        world.respond(.transientError(.network("down")))
        #expect(world.state.reports.notBefore == world.now + 50_000)
    }
}
