import Glibc
import TestSupport
import Testing
import UpdateCore

@testable import Host

@Suite struct ClockTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func theBootIDOfTheServiceManagerHasTheKernelsForm() {
        #expect(
            Clock.dashed("0123456789abcdefABCDEF0123456789") == "01234567-89ab-cdef-abcd-ef0123456789")
        for text in [
            "", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
            "0123456789abcdef0123456789abcdeg", "01234567-89ab-cdef-0123-456789abcde",
        ] {
            #expect(Clock.dashed(text) == nil, "\(text)")
        }
    }

    /// The name of the program may contain anything (proc_pid_stat(5)).
    @Test func theBeginOfTheBootIsThatOfProcess1() throws {
        let ticks = Seconds(sysconf(CInt(_SC_CLK_TCK)))
        func began(_ stat: String) throws -> Seconds {
            try scratch.write("proc/1/stat", stat)
            return Clock.bootBegan(processes: "\(scratch.path)/proc").seconds
        }
        let fields = (3...30).map { $0 == 22 ? "4500" : "\($0)" }.joined(separator: " ")
        #expect(try began("1 (systemd) \(fields)\n") == 4500 / ticks)
        #expect(try began("1 (a) b (c) \(fields)\n") == 4500 / ticks)
        #expect(try began("1 (systemd) 3 4 5\n") == 0)
        #expect(try began("") == 0)
        #expect(Clock.bootBegan(processes: "\(scratch.path)/nothing").seconds == 0)
        #expect(Clock.bootBegan(processes: "/proc") <= Clock.bootTime)
    }

    @Test func aDateIsInUTC() {
        #expect(Clock.date(year: 1970, month: 1, day: 1).unixSeconds == 0)
        #expect(
            Clock.date(year: 2026, month: 1, day: 14, hour: 12, minute: 1, second: 2).unixSeconds == 1_768_392_062)
        #expect(Clock.date(year: 2100, month: 3, day: 1).unixSeconds == 4_107_542_400)
        #expect(Clock.date(year: 2025, month: 12, day: 32) == Clock.date(year: 2026, month: 1, day: 1))
    }

    /// A build time in the future would make every clock wrong.
    @Test func theBuildTimeIsBeforeNowByADay() {
        #expect(Clock.buildTime < Clock.wallTime && Clock.buildTime > Clock.date(year: 2024, month: 1, day: 1))
        #expect(Clock.buildTime.unixSeconds.truncatingRemainder(dividingBy: 86_400) == 0)
        #expect(Clock.wallTime - Clock.buildTime >= 43_200, "wherever it was built")
    }

    @Test func theClocksCountInTheirUnits() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let seconds = Seconds(now.tv_sec) + Seconds(now.tv_nsec) / 1e9
        #expect(abs(Seconds(Clock.monotonicMicroseconds) / 1e6 - seconds) < 5)
        clock_gettime(CLOCK_BOOTTIME, &now)
        #expect(abs(Clock.bootTime.seconds - Seconds(now.tv_sec)) < 5)
        clock_gettime(CLOCK_REALTIME, &now)
        #expect(abs(Clock.wallTime.unixSeconds - Seconds(now.tv_sec)) < 5)
    }
}
