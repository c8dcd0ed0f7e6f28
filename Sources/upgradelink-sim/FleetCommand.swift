import ArgumentParser
import Dispatch
import Fleet
import Host
import Synchronization
import UpdateCore

struct FleetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet",
        abstract: "Simulate a million devices in virtual time, and count the requests that the server receives.",
        discussion: """
            Each device decides by the agent's own code (reduce and nextWakeUp of UpdateCore). Prints a table. Rates are \
            requests per second, polls and reports together; if there is an outage, after it. The allowed rate is twice \
            the steady rate of polls plus the rate that the server accepts; without a rate limit there is no allowed rate.
            """)

    @Option(help: "The number of devices.")
    var devices = 1_000_000
    @Option(help: "Only this scenario: \(FleetScenario.all.map(\.name).joined(separator: ", ")).")
    var scenario: String?
    @Option(help: "poll.interval, in seconds.")
    var interval = PollSchedule.standard.interval
    @Option(help: "poll.splay, in seconds.")
    var splay = PollSchedule.standard.splay
    @Option(help: "poll.backOffBase, in seconds.")
    var backOffBase = PollSchedule.standard.backOffBase
    @Option(help: "poll.backOffCap, in seconds.")
    var backOffCap = PollSchedule.standard.backOffCap
    @Option(help: "The seed; the same seed gives the same result.")
    var seed: UInt64 = 1
    @Option(help: "Write a chart of the rates to this file, as SVG.")
    var chart: String?

    func validate() throws {
        guard scenario == nil || FleetScenario.all.contains(where: { $0.name == scenario }) else {
            let names = FleetScenario.all.map(\.name).joined(separator: ", ")
            throw ValidationError("there is no scenario \(scenario ?? ""); there are \(names)")
        }
        let day = 86_400.0
        guard (1...10_000_000).contains(devices), (1...90 * day).contains(interval), (0...7 * day).contains(splay),
            (0.1...day).contains(backOffBase), (backOffBase...7 * day).contains(backOffCap)
        else {
            throw ValidationError(
                "allowed are 1 to 10000000 devices, an interval of 1 s to 90 d, a splay of up to 7 d, a back-off base of 0.1 s to "
                    + "1 d, and a cap from there to 7 d")
        }
    }

    func run() async throws {
        let schedule = PollSchedule(interval: interval, splay: splay, backOffBase: backOffBase, backOffCap: backOffCap)
        let scenarios = FleetScenario.all.filter { scenario == nil || $0.name == scenario }
        say(
            "\(devices) devices, poll.interval \(describe(interval)), splay \(describe(splay)), "
                + "backOffBase \(describe(backOffBase)), backOffCap \(describe(backOffCap)), seed \(seed)\n")
        let results = Mutex<[String: FleetResult]>([:])
        let (count, seed) = (devices, seed)
        DispatchQueue.concurrentPerform(iterations: scenarios.count) { index in
            let result = Fleet.run(scenarios[index], devices: count, schedule: schedule, seed: seed)
            results.withLock { $0[scenarios[index].name] = result }
        }
        let all = results.withLock { results in scenarios.compactMap { results[$0.name] } }
        say(FleetTable(all, schedule).text)
        if let chart { try Files.replace(chart, with: Array(fleetChart(all, schedule).utf8), mode: 0o644) }
    }
}
