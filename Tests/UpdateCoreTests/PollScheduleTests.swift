import Testing

@testable import UpdateCore

@Suite struct PollScheduleTests {
    private let schedule = PollSchedule(interval: 21_600, splay: 1800, backOffBase: 60, backOffCap: 3600)

    private func sample(_ count: Int = 4000, _ delay: (inout Chance) -> Seconds) -> [Seconds] {
        var chance = Chance(seed: 42)
        return (0..<count).map { _ in delay(&chance) }
    }

    /// The number of samples in each tenth of the range.
    private func tenths(_ samples: [Seconds], _ range: ClosedRange<Seconds>) -> [Int] {
        var counts = [Int](repeating: 0, count: 10)
        for value in samples {
            let place = (value - range.lowerBound) / (range.upperBound - range.lowerBound) * 10
            counts[min(max(Int(place), 0), 9)] += 1
        }
        return counts
    }

    @Test func theFirstPollFallsAnywhereInTheSplay() {
        var schedule = schedule
        schedule.splay = 7200
        let samples = sample { schedule.firstDelay(isEager: false, &$0) }
        #expect(samples.allSatisfy { (0...7200).contains($0) })
        #expect(tenths(samples, 0...7200).allSatisfy { (300...500).contains($0) })
    }

    /// A device that is on for an hour a day must still poll.
    @Test func aDeviceThatIsSeldomOnPollsSooner() {
        var schedule = schedule
        schedule.splay = 21_600
        let samples = sample { schedule.firstDelay(isEager: true, &$0) }
        #expect(samples.allSatisfy { (0...1800).contains($0) })
        #expect(tenths(samples, 0...1800).allSatisfy { (300...500).contains($0) })
        schedule.splay = 10
        #expect(sample { schedule.firstDelay(isEager: true, &$0) }.allSatisfy { (0...10).contains($0) })
    }

    @Test func intervalsAreJittered() {
        let samples = sample { schedule.regularDelay(&$0) }
        #expect(samples.allSatisfy { (19_440...23_760).contains($0) })
        #expect(tenths(samples, 19_440...23_760).allSatisfy { (300...500).contains($0) })
    }

    @Test(arguments: [(1, 60.0), (2, 120), (3, 240), (6, 1920), (7, 3600), (50, 3600), (10_000, 3600)])
    func backOffDoublesWithJitterInItsUpperHalf(failures: Int, bound: Seconds) {
        let samples = sample { schedule.backOffDelay(failures: failures, retryAfter: nil, &$0) }
        #expect(samples.allSatisfy { (bound / 2...bound).contains($0) })
        #expect(tenths(samples, bound / 2...bound).allSatisfy { (300...520).contains($0) })
    }

    /// A delay is at most twice as long as the error has lasted so far, plus the first bound.
    @Test func theDelayIsBoundedByTheDurationOfTheError() {
        for seed in 0..<500 {
            var chance = Chance(seed: UInt64(seed))
            var lasted: Seconds = 0
            for failures in 1...12 {
                let delay = schedule.backOffDelay(failures: failures, retryAfter: nil, &chance)
                #expect(delay <= max(60, 2 * lasted + 60))
                lasted += delay
            }
        }
    }

    @Test func retryAfterIsALowerBoundToWhichTheJitterIsAdded() {
        let samples = sample { schedule.backOffDelay(failures: 3, retryAfter: 500, &$0) }
        #expect(samples.allSatisfy { (620...740).contains($0) })
        #expect(tenths(samples, 620...740).allSatisfy { (300...520).contains($0) })
    }

    /// Throttled devices poll again at a random moment of a whole interval: together at most twice as often as usual.
    @Test(arguments: [(nil, 0.0), (1, 1), (3600, 3600), (40_000, 40_000)])
    func aThrottledDevicePollsAtARandomMomentOfTheInterval(retryAfter: Seconds?, low: Seconds) {
        let samples = sample { schedule.delay(after: .rateLimited(retryAfter: retryAfter), failures: 1, &$0) }
        let high = max(21_600, low + 60)
        #expect(samples.allSatisfy { (low...high).contains($0) })
        #expect(tenths(samples, low...high).allSatisfy { (300...520).contains($0) })
    }

    /// A dropped connection or a full disk does not load the server.
    @Test func otherErrorsAreRetriedWithinTheHour() {
        let schedule = PollSchedule.standard
        #expect(sample { schedule.otherDelay(failures: 1, &$0) }.allSatisfy { (30...60).contains($0) })
        #expect(sample { schedule.otherDelay(failures: 100, &$0) }.allSatisfy { (1800...3600).contains($0) })
    }

    @Test(arguments: [1e6, 1e300, .infinity])
    func retryAfterIsBounded(wish: Seconds) {
        let samples = sample { schedule.backOffDelay(failures: 1, retryAfter: wish, &$0) }
        #expect(samples.allSatisfy { $0 <= PollSchedule.retryAfterLimit + 60 && $0 >= PollSchedule.retryAfterLimit })
    }

    @Test func misconfiguredDevicesPollHourlyForADayAndThenDaily() {
        var chance = Chance(seed: 1)
        #expect((3240...3960).contains(schedule.misconfiguredDelay(failures: 1, &chance)))
        #expect((3240...3960).contains(schedule.misconfiguredDelay(failures: 24, &chance)))
        #expect((77_760...95_040).contains(schedule.misconfiguredDelay(failures: 25, &chance)))
    }
}
