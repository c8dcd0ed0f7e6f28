public import UpdateCore

/// The events of one simulation of a million devices and their server.
public struct FleetScenario: Sendable {
    public var name: String
    public var title: String
    /// Seconds of virtual time.
    public var duration: Int
    /// Whether every device boots in the same second. Otherwise each is at a random time between two polls.
    public var startsCold = false
    /// The seconds in which the server does not respond; nil for none.
    public var outage: Range<Int>?
    /// The seconds in which the files are missing (HTTP 404); nil for none. Requests for files count as requests then.
    public var fileOutage: Range<Int>?
    /// Requests per second that the server accepts from a million devices; it replies to the others with HTTP 429. Nil for all.
    public var admitted: Int?
    /// The times, in seconds, at which the new version is offered to a larger share of the devices, and these shares.
    public var releases: [(at: Int, share: Double)] = []
    /// The maintenance window, in hours after midnight, which is the start of the run. All devices are in one time zone. Nil for
    /// any time.
    public var window: Range<Int>?
    /// The share of devices with a wrong clock. The server refuses their first request, and the reply's Date corrects them.
    public var wrongClocks = 0.0

    public static let all: [FleetScenario] = [
        FleetScenario(
            name: "steady", title: "an ordinary day", duration: 6 * hour),
        FleetScenario(
            name: "cold-start", title: "power cut: all start in one second", duration: 8 * hour, startsCold: true,
            releases: [(0, 1)]),
        FleetScenario(
            name: "short-outage", title: "the server is away for 30 minutes", duration: 10 * hour,
            outage: hour..<(hour + 1800), releases: [(0, 1)]),
        FleetScenario(
            name: "long-outage", title: "the server is away for 6 hours", duration: 16 * hour,
            outage: hour..<7 * hour, releases: [(0, 1)]),
        FleetScenario(
            name: "rate-limit", title: "all start in one second, the server takes 300 requests a second",
            duration: 24 * hour,
            startsCold: true, admitted: 300, releases: [(0, 1)]),
        FleetScenario(
            name: "outage-and-rate-limit",
            title: "the server is away for 6 hours, and takes 300 requests a second afterwards", duration: 24 * hour,
            outage: hour..<7 * hour, admitted: 300, releases: [(hour, 1)]),
        FleetScenario(
            name: "window", title: "a release whose window opens for all devices at one moment", duration: 14 * hour,
            releases: [(0, 1)], window: 8..<11),
        FleetScenario(
            name: "staged", title: "a release for 1 %, an hour later 10 %, after 6 hours all", duration: 14 * hour,
            releases: [(0, 0.01), (hour, 0.1), (6 * hour, 1)]),
        FleetScenario(
            name: "wrong-clocks", title: "power cut, and every tenth clock is hours off", duration: 8 * hour,
            startsCold: true, releases: [(0, 1)], wrongClocks: 0.1),
        FleetScenario(
            name: "missing-files", title: "a release whose files are missing for 6 hours", duration: 24 * hour,
            fileOutage: 0..<7 * hour, releases: [(hour, 1)]),
        FleetScenario(
            name: "release", title: "a release at one moment", duration: 8 * hour, releases: [(hour, 1)]),
    ]

    private static let hour = 3600
}

/// The result of a scenario.
public struct FleetResult: Sendable {
    public var scenario: FleetScenario
    public var devices: Int
    /// The seed of the run; the same seed gives the same result.
    public var seed: UInt64
    /// Polls and reports in each second, including those without a response.
    public var requests: [UInt32]
    /// Requests without a result: no connection, HTTP 429, or refused because of a wrong clock.
    public var wasted: Int
    /// The seconds in which devices installed the new version, sorted.
    public var updated: [Int32]
    /// The longest time, in seconds, from the failed poll of a device to its next response. An outage does not count.
    public var longestWait: Int

    /// Requests per second if nothing fails: one poll per device and interval.
    public func steadyRate(_ schedule: PollSchedule) -> Double { Double(devices) / schedule.interval }

    /// The limit for the peak, in requests per second: twice the steady rate plus the rate that the server accepts. Nil if the
    /// server accepts every request.
    public func allowedPeak(_ schedule: PollSchedule) -> Double? {
        scenario.admitted.map { 2 * steadyRate(schedule) + Double($0) * Double(devices) / 1e6 }
    }

    /// The requests after the outage; all requests if there is none.
    private var afterwards: ArraySlice<UInt32> {
        requests[(scenario.outage?.upperBound ?? scenario.fileOutage?.upperBound ?? 0)...]
    }

    /// The highest number of requests in one second.
    public var peak: Int { Int(afterwards.max() ?? 0) }

    /// The number of requests that 99 % of the seconds do not exceed.
    public var percentile99: Int {
        let sorted = afterwards.sorted()
        return sorted.isEmpty ? 0 : Int(sorted[sorted.count * 99 / 100])
    }

    /// Seconds from the first release until this share of all devices has the new version; nil if that never happens.
    public func time(untilUpdated share: Double) -> Int? {
        guard let release = scenario.releases.first else { return nil }
        let index = Int((Double(devices) * share).rounded(.up)) - 1
        return updated.indices.contains(index) ? Int(updated[index]) - release.at : nil
    }
}
