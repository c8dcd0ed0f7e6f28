public import UpdateCore

/// What happens to a million boxes and their server.
public struct FleetScenario: Sendable {
    public var name: String
    public var title: String
    /// Seconds of virtual time.
    public var duration: Int
    /// Every box starts in the same second; otherwise they have been running for long, and are anywhere between two polls.
    public var startsCold = false
    /// The server does not answer in this span of seconds.
    public var outage: Range<Int>?
    /// Requests of a million boxes that the server takes in a second; the others get HTTP 429. Absent: all.
    public var admitted: Int?
    /// When a new version is published, to what share of the boxes at what time; the shares grow.
    public var releases: [(at: Int, share: Double)] = []
    /// When updates are installed, hours after midnight and so in this run; all boxes are in one time zone. Absent: any time.
    public var window: Range<Int>?
    /// The share of boxes whose clock is hours off: the server refuses their first request, and its Date corrects them.
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
            name: "window", title: "a release whose window opens for all boxes at one moment", duration: 14 * hour,
            releases: [(0, 1)], window: 8..<11),
        FleetScenario(
            name: "staged", title: "a release for 1 %, an hour later 10 %, after 6 hours all", duration: 14 * hour,
            releases: [(0, 0.01), (hour, 0.1), (6 * hour, 1)]),
        FleetScenario(
            name: "wrong-clocks", title: "power cut, and every tenth clock is hours off", duration: 8 * hour,
            startsCold: true, releases: [(0, 1)], wrongClocks: 0.1),
        FleetScenario(
            name: "release", title: "a release at one moment", duration: 8 * hour, releases: [(hour, 1)]),
    ]

    private static let hour = 3600
}

/// What came of it.
public struct FleetResult: Sendable {
    public var scenario: FleetScenario
    public var boxes: Int
    /// In each second: polls and reports, whether they were answered or not.
    public var requests: [UInt32]
    /// Requests that got nothing: no connection, 429, or refused for a wrong clock.
    public var wasted: Int
    /// In what second each box had the new version, sorted; boxes that never had are missing.
    public var updated: [Int32]
    /// The longest that a box whose request failed went without an answer, counted from when there was one to be had.
    public var longestWait: Int

    /// Of what was asked while nothing was wrong: one poll for each box and interval.
    public func steadyRate(_ schedule: PollSchedule) -> Double { Double(boxes) / schedule.interval }

    /// Twice the steady rate, and what the server admits: what the peak must not exceed. Nil where it admits everything.
    public func allowedPeak(_ schedule: PollSchedule) -> Double? {
        scenario.admitted.map { 2 * steadyRate(schedule) + Double($0) * Double(boxes) / 1e6 }
    }

    /// After the outage, where there is one.
    private var afterwards: ArraySlice<UInt32> { requests[(scenario.outage?.upperBound ?? 0)...] }

    public var peak: Int { Int(afterwards.max() ?? 0) }

    public var percentile99: Int {
        let sorted = afterwards.sorted()
        return sorted.isEmpty ? 0 : Int(sorted[sorted.count * 99 / 100])
    }

    /// Seconds from the first release until this share of all boxes has it; nil where that is never.
    public func time(untilUpdated share: Double) -> Int? {
        guard let release = scenario.releases.first else { return nil }
        let index = Int((Double(boxes) * share).rounded(.up)) - 1
        return updated.indices.contains(index) ? Int(updated[index]) - release.at : nil
    }
}
