import ArgumentParser
import Dispatch
import Fleet
import Host
import Synchronization
import UpdateCore

struct FleetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet",
        abstract: "Play a million boxes at virtual time, and count what the server hears of them.",
        discussion: """
            Each box decides by the agent's own code (reduce and nextWakeUp of UpdateCore). Prints a table; rates are \
            requests per second, polls and reports together, after an outage where there is one. What is allowed is twice \
            the steady rate of polls and what the server admits; a server without a limit admits everything.
            """)

    @Option(help: "How many boxes.")
    var boxes = 1_000_000
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
    @Option(help: "The same again for the same seed.")
    var seed: UInt64 = 1
    @Option(help: "Draw the rates there, as SVG.")
    var chart: String?

    func validate() throws {
        guard scenario == nil || FleetScenario.all.contains(where: { $0.name == scenario }) else {
            let names = FleetScenario.all.map(\.name).joined(separator: ", ")
            throw ValidationError("there is no scenario \(scenario ?? ""); there are \(names)")
        }
        let day = 86_400.0
        guard (1...10_000_000).contains(boxes), (1...90 * day).contains(interval), (0...7 * day).contains(splay),
            (0.1...day).contains(backOffBase), (backOffBase...7 * day).contains(backOffCap)
        else {
            throw ValidationError(
                "allowed are 1 to 10000000 boxes, an interval of 1 s to 90 d, a splay of up to 7 d, a back-off base of 0.1 s to "
                    + "1 d, and a cap from there to 7 d")
        }
    }

    func run() async throws {
        let schedule = PollSchedule(interval: interval, splay: splay, backOffBase: backOffBase, backOffCap: backOffCap)
        let scenarios = FleetScenario.all.filter { scenario == nil || $0.name == scenario }
        say(
            "\(boxes) boxes, poll.interval \(describe(interval)), splay \(describe(splay)), "
                + "backOffBase \(describe(backOffBase)), backOffCap \(describe(backOffCap)), seed \(seed)\n")
        let results = Mutex<[String: FleetResult]>([:])
        let (count, seed) = (boxes, seed)
        DispatchQueue.concurrentPerform(iterations: scenarios.count) { index in
            let result = Fleet.run(scenarios[index], boxes: count, schedule: schedule, seed: seed)
            results.withLock { $0[scenarios[index].name] = result }
        }
        let all = results.withLock { results in scenarios.compactMap { results[$0.name] } }
        say(FleetTable(all, schedule).text)
        if let chart { try Files.replace(chart, with: Array(fleetChart(all, schedule).utf8), mode: 0o644) }
    }
}
