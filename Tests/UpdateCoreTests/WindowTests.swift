import Testing

@testable import UpdateCore

/// Maintenance windows in local time, across midnight and across both changes of summer time.
@Suite struct WindowTests {
    /// Berlin in 2026: summer time begins on 29 March at 01:00 UTC and ends on 25 October at 01:00 UTC.
    private let berlin = TimeZoneOffsets([
        .init(from: WallTime(unixSeconds: 0), offset: 3600),
        .init(from: Self.utc(2026, 3, 29, 1), offset: 7200),
        .init(from: Self.utc(2026, 10, 25, 1), offset: 3600),
    ])

    /// Days from the civil calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private static func utc(_ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int = 0) -> WallTime {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return WallTime(unixSeconds: Seconds(days * 86_400 + hour * 3600 + minute * 60))
    }

    private func windows(_ texts: String...) throws -> [MaintenanceWindow] {
        try texts.map { try #require(MaintenanceWindow($0)) }
    }

    /// The ranges of time after `from` in which a window is open, as "HH:MM-HH:MM", in steps of a minute.
    private func open(_ windows: [MaintenanceWindow], _ zone: TimeZoneOffsets, from: WallTime, hours: Int) -> [String] {
        var spans: [String] = []
        var begin: Int?
        for minute in 0...(hours * 60) {
            let isOpen = minute < hours * 60 && windows.isOpen(at: from + Seconds(minute * 60), zone)
            if isOpen, begin == nil { begin = minute }
            if !isOpen, let first = begin {
                spans.append("\(clock(first))-\(clock(minute))")
                begin = nil
            }
        }
        return spans
    }

    private func clock(_ minute: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return two(minute / 60) + ":" + two(minute % 60)
    }

    @Test func withoutWindowsEveryTimeIsAllowed() {
        #expect([MaintenanceWindow]().isOpen(at: Self.utc(2026, 1, 1, 12), berlin))
    }

    @Test func aWindowIsInLocalTime() throws {
        // In winter 02:00 in Berlin is 01:00 UTC, in summer 00:00 UTC.
        let windows = try windows("02:00-05:00")
        #expect(open(windows, berlin, from: Self.utc(2026, 1, 14, 0), hours: 24) == ["01:00-04:00"])
        #expect(open(windows, berlin, from: Self.utc(2026, 7, 14, 0), hours: 24) == ["00:00-03:00"])
    }

    @Test func aWindowAcrossMidnightBelongsToTheDayOnWhichItBegins() throws {
        // 17 January 2026 is a Saturday.
        let windows = try windows("Sat 23:00-01:30")
        #expect(open(windows, .utc, from: Self.utc(2026, 1, 16, 0), hours: 72) == ["47:00-49:30"])
        #expect(windows.nextOpening(after: Self.utc(2026, 1, 18, 0), .utc) == Self.utc(2026, 1, 24, 23))
        #expect(windows.nextOpening(after: Self.utc(2026, 1, 17, 22, 59), .utc) == Self.utc(2026, 1, 17, 23))
    }

    @Test func rangesOfDaysMaySpanTheWeekend() throws {
        #expect(try windows("Sat-Mon 01:00-02:00")[0].days == [5, 6, 0])
        #expect(try windows("Mon,Wed-Thu 01:00-02:00")[0].days == [0, 2, 3])
    }

    @Test func aClockPutForwardShortensAWindow() throws {
        // 29 March: 02:00 becomes 03:00 at 01:00 UTC. 01:30 is 00:30 UTC, 04:00 is 02:00 UTC.
        #expect(
            open(try windows("01:30-04:00"), berlin, from: Self.utc(2026, 3, 29, 0), hours: 12) == ["00:30-02:00"])
        // A window that begins in the skipped hour opens when the clock is put forward.
        #expect(
            open(try windows("02:30-04:00"), berlin, from: Self.utc(2026, 3, 29, 0), hours: 12) == ["01:00-02:00"])
    }

    @Test func aWindowInTheSkippedHourStillOpens() throws {
        #expect(
            open(try windows("Sun 02:00-03:00"), berlin, from: Self.utc(2026, 3, 29, 0), hours: 12) == ["01:00-02:00"])
        #expect(
            open(try windows("Sun 02:15-02:45"), berlin, from: Self.utc(2026, 3, 29, 0), hours: 12) == ["01:00-01:30"])
    }

    @Test func aClockPutBackLengthensAWindowAndOpensItOnce() throws {
        // 25 October: 03:00 becomes 02:00 at 01:00 UTC. 01:30 is 23:30 UTC of the day before, 03:30 is 02:30 UTC.
        #expect(
            open(try windows("01:30-03:30"), berlin, from: Self.utc(2026, 10, 24, 12), hours: 24) == ["11:30-14:30"])
        // 02:15 comes twice: the window is open in the first pass only.
        #expect(
            open(try windows("02:15-02:45"), berlin, from: Self.utc(2026, 10, 25, 0), hours: 12) == ["00:15-00:45"])
    }

    @Test func theNextOpeningIsRightAcrossBothChanges() throws {
        let windows = try windows("Sun 04:00-05:00")
        #expect(windows.nextOpening(after: Self.utc(2026, 3, 25, 0), berlin) == Self.utc(2026, 3, 29, 2))
        #expect(windows.nextOpening(after: Self.utc(2026, 10, 21, 0), berlin) == Self.utc(2026, 10, 25, 3))
    }

    @Test(arguments: [
        "", "02:00", "02:00-", "2:00-3:00", "24:00-25:00", "02:60-03:00", "Mon", "Mon-Xyz 02:00-03:00",
        "Mon Tue 02:00-03:00", "Mon-Tue-Wed 02:00-03:00", "02:00-05:00 Mon", "-1:00-02:00", "٠٢:٠٠-٠٣:٠٠",
    ])
    func anInvalidWindowIsRefused(text: String) {
        #expect(MaintenanceWindow(text) == nil)
    }

    @Test func theNextOpeningIsNotTheOneThatHasJustBegun() throws {
        // 18 January 2026 is a Sunday.
        let windows = try windows("Sun 04:00-05:00")
        let opens = Self.utc(2026, 1, 18, 4)
        #expect(windows.isOpen(at: opens, .utc) && windows.nextOpening(after: opens + -1, .utc) == opens)
        #expect(windows.nextOpening(after: opens, .utc) == opens + 7 * 86_400)
        #expect(windows.nextOpening(after: opens + 3600, .utc) == opens + 7 * 86_400)
        #expect([MaintenanceWindow]().nextOpening(after: opens, .utc) == nil)
    }

    @Test func onlyAWholeWindowHasPassed() throws {
        let windows = try windows("Sun 04:00-05:00")
        let (opens, closes) = (Self.utc(2026, 1, 18, 4), Self.utc(2026, 1, 18, 5))
        #expect(windows.hasPassed(since: opens, until: closes, .utc))
        #expect(!windows.hasPassed(since: opens + 1, until: closes, .utc), "its beginning was not waited for")
        #expect(!windows.hasPassed(since: opens, until: closes + -1, .utc), "it is still open")
        #expect(windows.hasPassed(since: opens + 1, until: closes + 7 * 86_400, .utc))
    }

    @Test func oneOfSeveralWindowsIsEnough() throws {
        let windows = try windows("02:00-03:00", "04:00-04:30")
        #expect(
            open(windows, .utc, from: Self.utc(2026, 1, 14, 0), hours: 24) == ["02:00-03:00", "04:00-04:30"])
        #expect(windows.nextOpening(after: Self.utc(2026, 1, 14, 3), .utc) == Self.utc(2026, 1, 14, 4))
    }

    @Test func aWholeDayCanBeAWindow() throws {
        #expect(
            open(try windows("Wed 00:00-24:00"), .utc, from: Self.utc(2026, 1, 13, 0), hours: 72) == ["24:00-48:00"])
        #expect(try windows("03:00-03:00")[0].length == 1440)
    }
}
