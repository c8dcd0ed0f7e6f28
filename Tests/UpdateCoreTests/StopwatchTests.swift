import Testing

@testable import UpdateCore

/// A stopwatch that runs across reboots, with clocks that are right, wrong or unknown.
@Suite struct StopwatchTests {
    private let noon = WallTime(unixSeconds: 1_768_392_000)

    private func at(_ seconds: Seconds) -> BootInstant { BootInstant(seconds) }

    @Test func inItsBootTheWallClockDoesNotCount() {
        var watch = Stopwatch(now: at(100))
        watch.note(at(100), noon)
        for time in [noon + 1e6, noon + -1e6, nil] { #expect(watch.elapsed(at(160), time) == 60) }
        #expect(watch.elapsed(at(50), noon) == 0, "never less than nothing")
    }

    @Test func afterABootTheWallClockCounts() {
        var watch = Stopwatch(now: at(100))
        watch.note(at(100), noon)
        watch.resume(at: at(5))
        #expect(watch.elapsed(at(15), noon + 5000) == 5000)
        #expect(watch.elapsed(at(15), nil) == 10, "what the device was on for")
        #expect(watch.elapsed(at(15), noon + 3) == 10, "it is never less")
        #expect(watch.elapsed(at(15), noon + 1e12) == 1e9)
    }

    @Test func whatHasPassedIsNotedOnceAMinute() {
        var watch = Stopwatch(now: at(0))
        watch.note(at(59.9), nil)
        #expect(watch.counted == 0 && watch.countedAt == at(0))
        watch.note(at(60), nil)
        #expect(watch.counted == 60 && watch.countedAt == at(60))
        watch.note(at(200), nil, interval: 3600)
        #expect(watch.counted == 60)
        watch.resume(at: at(5))
        #expect(watch.elapsed(at(6), nil) == 61)
    }

    @Test func itsStartIsNotedAsSoonAsTheTimeIsKnown() {
        var watch = Stopwatch(now: at(0))
        watch.note(at(30), nil)
        #expect(watch.since == nil)
        watch.note(at(40), noon)
        #expect(watch.since == noon + -40)
        // In the boot of the start a clock that is corrected corrects the start, but not for a minute.
        watch.note(at(50), noon + 10 + 60)
        #expect(watch.since == noon + -40)
        watch.note(at(50), noon + 10 + 61)
        #expect(watch.since == noon + 21)
    }

    @Test func aStartInTheFutureIsCorrectedAfterAnHour() {
        var watch = Stopwatch(now: at(0))
        watch.note(at(0), noon + 1e7)
        watch.resume(at: at(0))
        watch.note(at(3599), noon + 3599)
        #expect(watch.since == noon + 1e7 && watch.resumed == at(0))
        watch.note(at(3600), noon + 3600)
        #expect(watch.since == noon && watch.resumed == nil)
        // A start in the past stays.
        var other = Stopwatch(now: at(0))
        other.note(at(0), noon)
        other.resume(at: at(0))
        other.note(at(7200), noon + 1e6)
        #expect(other.since == noon && other.resumed == at(0))
    }

    @Test func aPauseHasAnEnd() {
        let pause = Pause(now: at(100), length: 60)
        #expect(pause.left(at(100), nil) == 60 && pause.left(at(159), nil) == 1)
        #expect(pause.left(at(160), nil) == 0 && pause.left(at(1000), nil) == 0)
    }
}
