import Testing

@testable import UpdateCore

@Suite struct MetricsTests {
    /// As the exposition format says.
    @Test func labelsAndHelpAreEscaped() {
        let family = MetricFamily(
            "a_info", .gauge, "With \\ and\na line feed.",
            [
                .init(
                    labels: [.init(name: "x", value: "\"quoted\" \\ and\nmore"), .init(name: "y", value: "")], value: 1)
            ])
        #expect(
            family.text
                == "# HELP a_info With \\\\ and\\na line feed.\n# TYPE a_info gauge\n"
                + "a_info{x=\"\\\"quoted\\\" \\\\ and\\nmore\",y=\"\"} 1\n")
        #expect(MetricFamily("b", .gauge, "Absent.", nil as Int?).text == "")
        #expect(MetricFamily("c_total", .counter, "A count.", 3).text.hasSuffix("# TYPE c_total counter\nc_total 3\n"))
    }

    @Test func countsAreBounded() {
        var counters = MetricCounters()
        for received in [Int.max, 1, -5] {
            counters.count(
                .downloaded(versionCode: 2, .noSpace("full"), DownloadTraffic(received: received, size: 0)), [])
        }
        #expect(counters.downloadedBytes == .max)
        #expect(counters.requests == [.download: 3])
        #expect(counters.failures.map(\.key.reason) == [.diskFull])
        #expect(counters.failures.map(\.value) == [3])
    }

    /// Another clock gives a slightly different time: the file would be written again for it.
    @Test func theNextPollIsSteady() {
        var sources = MetricSources(started: WallTime(unixSeconds: 0))
        var state = AgentState()
        state.poll.next = BootInstant(100)
        func shown(_ wallClock: Double) -> String {
            let context = Context(
                now: BootInstant(0), bootID: "", wallClock: WallTime(unixSeconds: wallClock),
                buildTime: WallTime(unixSeconds: 0), installed: .unknown(""),
                policy: Policy(
                    schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 1, backOffCap: 1), urlKey: "d"),
                seed: 0)
            let text = metrics(state, context, &sources).map(\.text).joined()
            return text.split(separator: "\n").first { $0.hasPrefix("upgradelink_next_poll_timestamp_seconds ") }
                .map { String($0.split(separator: " ")[1]) } ?? ""
        }
        #expect(shown(1000) == "1100")
        #expect(shown(1002) == "1100")
        #expect(shown(1003) == "1103")
        state.poll.isRunning = true
        #expect(shown(1003) == "")
    }

    @Test func everyStateHasAValue() {
        var state = AgentState()
        #expect(stateNames.contains(state.name))
        state.poll.outcome = .failing(failures: 1)
        #expect(stateNames.contains(state.name))
        state.poll.isRunning = true
        #expect(stateNames.contains(state.name))
    }
}
