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
}
