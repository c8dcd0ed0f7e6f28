public import UpdateCore

/// The results as a Markdown table.
public struct FleetTable {
    public let text: String

    public init(_ results: [FleetResult], _ schedule: PollSchedule) {
        var lines = [
            "| scenario | steady/s | allowed/s | peak/s | 99 %/s | 50 % updated | 99 % | 100 % | wasted | longest wait |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for result in results {
            let times = [0.5, 0.99, 1].map { share in
                result.time(untilUpdated: share).map { describe(Seconds($0)) } ?? "–"
            }
            let cells =
                [
                    result.scenario.title, "\(Int(result.steadyRate(schedule).rounded()))",
                    result.allowedPeak(schedule).map { "\(Int($0.rounded()))" } ?? "–", "\(result.peak)",
                    "\(result.percentile99)",
                ] + times + ["\(result.wasted)", describe(Seconds(result.longestWait))]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        text = lines.joined(separator: "\n")
    }
}
