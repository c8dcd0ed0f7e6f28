import Testing

@testable import UpdateCore

@Suite struct PollScheduleTests {
    private let schedule = PollSchedule(interval: 21_600, splay: 1800, backOffBase: 60, backOffCap: 3600)

    private func draw(_ count: Int = 4000, _ delay: (inout Chance) -> Seconds) -> [Seconds] {
        var chance = Chance(seed: 42)
        return (0..<count).map { _ in delay(&chance) }
    }

    /// The share of the draws in each tenth of the range.
    private func tenths(_ draws: [Seconds], _ range: ClosedRange<Seconds>) -> [Int] {
        var counts = [Int](repeating: 0, count: 10)
        for value in draws {
            let place = (value - range.lowerBound) / (range.upperBound - range.lowerBound) * 10
            counts[min(max(Int(place), 0), 9)] += 1
        }
        return counts
    }

    @Test func theFirstPollFallsAnywhereInTheSplay() {
        var schedule = schedule
        schedule.splay = 7200
        let draws = draw { schedule.firstDelay(isEager: false, &$0) }
        #expect(draws.allSatisfy { (0...7200).contains($0) })
        #expect(tenths(draws, 0...7200).allSatisfy { (300...500).contains($0) })
    }

    /// A box that is on for an hour a day must come to ask.
    @Test func whoMustNotMissItsChanceAsksSooner() {
        var schedule = schedule
        schedule.splay = 21_600
        let draws = draw { schedule.firstDelay(isEager: true, &$0) }
        #expect(draws.allSatisfy { (0...1800).contains($0) })
        #expect(tenths(draws, 0...1800).allSatisfy { (300...500).contains($0) })
        schedule.splay = 10
        #expect(draw { schedule.firstDelay(isEager: true, &$0) }.allSatisfy { (0...10).contains($0) })
    }

    @Test func intervalsAreJittered() {
        let draws = draw { schedule.regularDelay(&$0) }
        #expect(draws.allSatisfy { (19_440...23_760).contains($0) })
        #expect(tenths(draws, 19_440...23_760).allSatisfy { (300...500).contains($0) })
    }

    @Test(arguments: [(1, 60.0), (2, 120), (3, 240), (6, 1920), (7, 3600), (50, 3600), (10_000, 3600)])
    func backOffDoublesWithJitterInItsUpperHalf(failures: Int, bound: Seconds) {
        let draws = draw { schedule.backOffDelay(failures: failures, retryAfter: nil, &$0) }
        #expect(draws.allSatisfy { (bound / 2...bound).contains($0) })
        #expect(tenths(draws, bound / 2...bound).allSatisfy { (300...520).contains($0) })
    }

    /// Whatever the trouble, its end is noticed before it has been over for longer than it lasted, or than the first bound.
    @Test func noBoxWaitsLongerThanTheTroubleLasted() {
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

    @Test func retryAfterIsALowerBoundWithTheJitterOnTop() {
        let draws = draw { schedule.backOffDelay(failures: 3, retryAfter: 500, &$0) }
        #expect(draws.allSatisfy { (620...740).contains($0) })
        #expect(tenths(draws, 620...740).allSatisfy { (300...520).contains($0) })
    }

    /// A full server: its boxes come back anywhere in a whole interval, twice the steady rate together.
    @Test(arguments: [(nil, 0.0), (1, 1), (3600, 3600), (40_000, 40_000)])
    func whoIsRefusedComesBackAnywhereInTheInterval(retryAfter: Seconds?, low: Seconds) {
        let draws = draw { schedule.delay(after: .rateLimited(retryAfter: retryAfter), failures: 1, &$0) }
        let high = max(21_600, low + 60)
        #expect(draws.allSatisfy { (low...high).contains($0) })
        #expect(tenths(draws, low...high).allSatisfy { (300...520).contains($0) })
    }

    /// A line that drops, or a full disk, is no server's burden.
    @Test func whatIsNotTheServersIsTriedAgainWithinTheHour() {
        let schedule = PollSchedule.standard
        #expect(draw { schedule.otherDelay(failures: 1, &$0) }.allSatisfy { (30...60).contains($0) })
        #expect(draw { schedule.otherDelay(failures: 100, &$0) }.allSatisfy { (1800...3600).contains($0) })
    }

    @Test(arguments: [1e6, 1e300, .infinity])
    func retryAfterIsItselfBounded(wish: Seconds) {
        let draws = draw { schedule.backOffDelay(failures: 1, retryAfter: wish, &$0) }
        #expect(draws.allSatisfy { $0 <= PollSchedule.retryAfterLimit + 60 && $0 >= PollSchedule.retryAfterLimit })
    }

    @Test func misconfiguredBoxesAskHourlyForADayAndThenDaily() {
        var chance = Chance(seed: 1)
        #expect((3240...3960).contains(schedule.misconfiguredDelay(failures: 1, &chance)))
        #expect((3240...3960).contains(schedule.misconfiguredDelay(failures: 24, &chance)))
        #expect((77_760...95_040).contains(schedule.misconfiguredDelay(failures: 25, &chance)))
    }
}
