import Host
import TestSupport
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
        #expect(MetricFamily("b", .gauge, "Absent.", nil as Int64?).text == "")
        #expect(MetricFamily("c_total", .counter, "A count.", 3).text.hasSuffix("# TYPE c_total counter\nc_total 3\n"))
    }

    /// The reader works on bytes: what Swift takes for one character does not hide a quotation mark from it.
    @Test(arguments: [
        ("\"\u{301}", #"\""# + "\u{301}"), ("\\\u{301}", #"\\"# + "\u{301}"), ("\n\u{301}", #"\n"# + "\u{301}"),
        ("\r\n", "\u{FFFD}" + #"\n"#), ("\"\u{200D}\"", #"\""# + "\u{200D}" + #"\""#),
        ("a\u{0}b\u{7F}", "a\u{FFFD}b\u{FFFD}"),
        ("\t", "\u{FFFD}"), ("é日本", "é日本"),
    ])
    func everyScalarIsEscaped(value: String, escaped: String) {
        let family = MetricFamily("a", .gauge, "b", [.init(labels: [.init(name: "x", value: value)], value: 1)])
        #expect(Array(family.text.utf8) == Array("# HELP a b\n# TYPE a gauge\na{x=\"\(escaped)\"} 1\n".utf8))
        let helped = MetricFamily("a", .gauge, value, 1).text.utf8.split(separator: UInt8(ascii: "\n"))
        #expect(helped.count == 3)
        #expect(helped.first.map { Array($0) } == Array("# HELP a \(escaped.replacingQuotes)".utf8))
    }

    @Test func countsAreBounded() {
        var counters = MetricCounters()
        for received in [ByteCount.max, 1, -5] {
            counters.count(
                .downloaded(versionCode: 2, .noSpace("full"), DownloadTraffic(received: received, size: 0)), [])
        }
        #expect(counters.downloadedBytes == .max)
        #expect(counters.requests == [.download: 3])
        #expect(counters.failures.map(\.key.reason) == [.diskFull])
        #expect(counters.failures.map(\.value) == [3])
    }

    /// A download that was stopped has no event, and no result. Its bytes were received all the same.
    @Test func theBytesOfAStoppedDownloadAreCounted() {
        var counters = MetricCounters()
        counters.add(DownloadTraffic(received: 700, size: 1000))
        counters.count(.downloaded(versionCode: 2, .noSpace("full"), DownloadTraffic(received: 300, size: 1000)), [])
        #expect(counters.downloadedBytes == 1000)
        #expect(counters.requests == [.download: 1])
    }

    /// A device without a battery for its clock begins in 1970 until the network tells the time.
    @Test func theStartFollowsAClockThatIsSetLater() {
        var sources = MetricSources(started: BootInstant(40))
        func shown(_ now: Double, _ wallClock: Double) -> Int64? {
            let context = Context(
                now: BootInstant(now), bootID: "", wallClock: WallTime(unixSeconds: wallClock),
                buildTime: WallTime(unixSeconds: 0), installed: .unknown(""),
                policy: Policy(
                    schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 1, backOffCap: 1), urlKey: "d"),
                seed: 0)
            let family = metrics(AgentState(), context, &sources).first { $0.name == "upgradelink_start_time_seconds" }
            return family?.samples.first?.value
        }
        #expect(shown(41, 1001) == 1000)
        #expect(shown(100, 1_800_000_060) == 1_800_000_000)
        // A clock that is adjusted by little does not change the file.
        #expect(shown(200, 1_800_000_162) == 1_800_000_000)
        #expect(shown(200, 1_800_000_163) == 1_800_000_003)
    }

    /// Another clock gives a slightly different time: the file would be written again for it.
    @Test func theNextPollIsSteady() {
        var sources = MetricSources(started: BootInstant(0))
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

    /// The table of docs/monitoring.md has every metric with its type and its labels, in the order of the file.
    @Test func theDocumentHasTheTable() throws {
        let page = String(
            decoding: try Files.read("\(repositoryDirectory)/docs/monitoring.md", limit: 1 << 20), as: UTF8.self)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `upgradelink_") }.map { row in
            row.split(separator: "|").prefix(2).map { $0.filter { $0 != " " && $0 != "`" } }
        }
        var sources = MetricSources(started: BootInstant(0))
        let context = Context(
            now: BootInstant(0), bootID: "", wallClock: WallTime(unixSeconds: 0), buildTime: WallTime(unixSeconds: 0),
            installed: .known(versionCode: 1, versionName: "1"),
            policy: Policy(schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 1, backOffCap: 1), urlKey: "d"),
            seed: 0)
        let families = metrics(AgentState(), context, &sources)
        #expect(rows.map { $0[1] } == families.map(\.kind.rawValue))
        #expect(rows.map { $0[0].prefix { $0 != "{" } } == families.map { $0.name[...] })
        for (row, family) in zip(rows, families) {
            guard let sample = family.samples.first else { continue }
            let labels = sample.labels.map(\.name).joined(separator: ",")
            #expect(row[0].dropFirst(family.name.count) == (labels.isEmpty ? "" : "{\(labels)}"), "\(family.name)")
        }
    }

    /// A version that was blocked, and has been passed by another way, such as a new image with the state kept.
    @Test func aVersionThatWasPassedIsNotBlocked() {
        var state = AgentState()
        state.trials = [Trial(versionCode: 4, failures: 3, reason: Reason("unhealthy", .healthCheckFailed))]
        state.rejected = [4]
        func values(_ installed: Int) -> [String: Int64?] {
            var sources = MetricSources(started: BootInstant(0))
            let context = Context(
                now: BootInstant(0), bootID: "", wallClock: WallTime(unixSeconds: 0),
                buildTime: WallTime(unixSeconds: 0), installed: .known(versionCode: installed, versionName: nil),
                policy: Policy(
                    schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 1, backOffCap: 1), urlKey: "d"),
                seed: 0)
            return Dictionary(
                uniqueKeysWithValues: metrics(state, context, &sources).map { ($0.name, $0.samples.first?.value) })
        }
        #expect(values(3)["upgradelink_rejected_versions"] == 1)
        #expect(values(3)["upgradelink_version_failures"] == 3)
        #expect(values(4)["upgradelink_rejected_versions"] == 0)
        #expect(values(4)["upgradelink_version_failures"] == .some(nil))
        state.rejected = []
        #expect(values(3)["upgradelink_blocked_versions"] == 1)
        #expect(values(4)["upgradelink_blocked_versions"] == 0)
    }
}

extension String {
    /// As it is in a help text, which has no quotation marks around it.
    fileprivate var replacingQuotes: String {
        var scalars = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar == "\"", scalars.last == "\\" { scalars.removeLast() }
            scalars.append(scalar)
        }
        return String(scalars)
    }
}
