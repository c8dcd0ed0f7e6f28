import Glibc
import Host
import Testing
import UpdateCore

/// Maintenance windows open and close by the device's clock on the wall: the moments at which it is put forward or back count.
@Suite struct LocalTimeTests {
    /// In a process of its own, because a process has one time zone.
    @Test func theOffsetChangesInItsSecond() async {
        await #expect(processExitsWith: .exitCode(ZoneScene.asExpected)) { ZoneScene.play() }
    }
}

/// The process of the test above.
private enum ZoneScene {
    /// No exit status that a process has by accident.
    static let asExpected: CInt = 77

    private struct Change {
        /// As in tzset(3), so that no database of time zones is needed.
        var zone: String
        var moment: WallTime
        var before: Seconds
        var after: Seconds
    }

    private static let changes = [
        Change(
            zone: "CET-1CEST,M3.5.0,M10.5.0/3", moment: Clock.date(year: 2027, month: 3, day: 28, hour: 1),
            before: 3600, after: 7200),
        Change(
            zone: "CET-1CEST,M3.5.0,M10.5.0/3", moment: Clock.date(year: 2027, month: 10, day: 31, hour: 1),
            before: 7200, after: 3600),
        // In the middle of an hour of UTC.
        Change(
            zone: "CET-1CEST,M3.5.0/2:34:56,M10.5.0/3",
            moment: Clock.date(year: 2027, month: 3, day: 28, hour: 1, minute: 34, second: 56),
            before: 3600, after: 7200),
    ]

    /// Ends this process: with ``asExpected``, or with the number of the first change that is at another moment.
    static func play() {
        for (index, change) in changes.enumerated() {
            setenv("TZ", change.zone, 1)
            let start = (change.moment.unixSeconds / 3600).rounded(.down) * 3600 - 72 * 3600
            let expected = TimeZoneOffsets([
                .init(from: WallTime(unixSeconds: start), offset: change.before),
                .init(from: change.moment, offset: change.after),
            ])
            if LocalTime.offsets(around: change.moment) != expected { _exit(CInt(index + 1)) }
        }
        _exit(asExpected)
    }
}
