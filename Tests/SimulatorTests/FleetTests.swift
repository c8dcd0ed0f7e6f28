import Fleet
import TestSupport
import Testing
import UpdateCore

/// Simulates ten thousand devices with the agent's own code; `make fleet` simulates a million.
@Suite struct FleetTests {
    private static let schedule = PollSchedule.standard
    private static let devices = 10_000

    @Test(arguments: FleetScenario.all.map(\.name)) func everyDeviceIsUpdatedInTime(name: String) async throws {
        let scenario = try #require(FleetScenario.all.first { $0.name == name })
        let result = try await OwnThread.compute {
            Fleet.run(scenario, devices: Self.devices, schedule: Self.schedule, seed: 1)
        }
        if !scenario.releases.isEmpty { #expect(result.updated.count == Self.devices) }
        // Once the server responds, no device waits longer than twice the cap. A server with a limited capacity also needs time
        // for five requests of each device; capacity and devices are scaled down from a million devices alike.
        let serving = scenario.admitted.map { 5e6 / Double($0) } ?? 0
        #expect(Double(result.longestWait) <= 2 * Self.schedule.backOffCap + serving)
        let all = result.requests.reduce(0) { $0 + Int($1) }
        #expect(all >= Self.devices * scenario.duration / 21_600 * 9 / 10, "each device polls as often as it should")
        #expect(result.wasted <= all)
    }

    @Test func aSeedRepeatsARun() {
        let scenario = FleetScenario.all[2]
        func run(_ seed: UInt64) -> [UInt32] {
            Fleet.run(scenario, devices: 500, schedule: Self.schedule, seed: seed).requests
        }
        #expect(run(7) == run(7))
        #expect(run(7) != run(8))
    }

    @Test func theTableAndTheChartHaveEveryScenario() {
        let results = FleetScenario.all.map { Fleet.run($0, devices: 100, schedule: Self.schedule, seed: 1) }
        let table = FleetTable(results, Self.schedule).text
        let chart = fleetChart(results, Self.schedule)
        for scenario in FleetScenario.all {
            #expect(table.contains("| \(scenario.title) |"))
            #expect(chart.contains(scenario.title))
        }
        #expect(chart.hasPrefix("<svg ") && chart.hasSuffix("</svg>\n"))
    }

    /// Panels with different scales, or without units, invite wrong comparisons.
    @Test func theChartHasOneScaleUnitsALegendAndTheFiguresOfTheTable() throws {
        let results = FleetScenario.all.map { Fleet.run($0, devices: 2000, schedule: Self.schedule, seed: 1) }
        let chart = fleetChart(results, Self.schedule)
        let scale = try #require(chart.firstMatch(of: #/text-anchor="end">([0-9]+)/s</#)).output.1
        func count(_ text: String) -> Int { chart.ranges(of: text).count }
        #expect(count(">\(scale)/s<") == results.count, "the same vertical axis in each panel")
        #expect(try #require(Int(scale)) >= Int(try #require(results.flatMap(\.requests).max())))
        #expect(
            count(">0 h<") == results.count && count(">24 h<") == results.filter { $0.requests.count == 86_400 }.count)
        for word in [
            "mean", "highest second", "one poll per interval (0/s)", "allowed", "requests per second", "2000 devices",
            "seed 1",
        ] {
            #expect(chart.contains(word), "\(word)")
        }
        let rows = FleetTable(results, Self.schedule).text.split(separator: "\n").dropFirst(2)
        for (row, result) in zip(rows, results) {
            let cells = row.split(separator: " | ").map(String.init)
            let allowed = cells[2] == "–" ? "" : ", allowed \(cells[2])/s"
            #expect(
                chart.contains("highest second \(cells[3])/s, 99 % of the seconds \(cells[4])/s\(allowed)"),
                "\(result.scenario.name)")
            guard !result.scenario.releases.isEmpty else { continue }
            #expect(chart.contains("half updated after \(cells[5]), all after \(cells[7])"))
        }
    }
}
