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
        let draws = draw { schedule.firstDelay(&$0) }
        #expect(draws.allSatisfy { (0...1800).contains($0) })
        #expect(tenths(draws, 0...1800).allSatisfy { (300...500).contains($0) })
    }

    @Test func intervalsAreJittered() {
        let draws = draw { schedule.regularDelay(&$0) }
        #expect(draws.allSatisfy { (19_440...23_760).contains($0) })
        #expect(tenths(draws, 19_440...23_760).allSatisfy { (300...500).contains($0) })
    }

    @Test(arguments: [(1, 60.0), (2, 120), (3, 240), (6, 1920), (7, 3600), (50, 3600), (10_000, 3600)])
    func backOffDoublesWithFullJitterThatStaysFullAtTheCap(failures: Int, bound: Seconds) {
        let draws = draw { schedule.backOffDelay(failures: failures, retryAfter: nil, &$0) }
        #expect(draws.allSatisfy { (1...bound).contains($0) })
        #expect(tenths(draws, 0...bound).allSatisfy { (300...520).contains($0) })
    }

    @Test func retryAfterIsALowerBoundWithTheJitterOnTop() {
        let draws = draw { schedule.backOffDelay(failures: 3, retryAfter: 500, &$0) }
        #expect(draws.allSatisfy { (500...740).contains($0) })
        #expect(tenths(draws, 500...740).allSatisfy { (300...520).contains($0) })
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
