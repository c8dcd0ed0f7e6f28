public import UpdateCore

/// A chart of requests over time as SVG, with a strip for each scenario.
public func fleetChart(_ results: [FleetResult], _ schedule: PollSchedule) -> String {
    let (width, height, left, strip) = (860, 120, 60, 170)
    var svg = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width + left + 20) \(results.count * strip + 20)" \
        font-family="sans-serif" font-size="12">
        <rect width="100%" height="100%" fill="white"/>

        """
    for (row, result) in results.enumerated() {
        let top = row * strip + 34
        let seconds = result.requests.count
        // Each pixel has one point: the maximum and the mean of its seconds.
        let span = max(seconds / width, 1)
        let points = stride(from: 0, to: seconds, by: span).map { start in
            let part = result.requests[start..<min(start + span, seconds)]
            return (most: Double(part.max() ?? 0), mean: Double(part.reduce(0) { $0 + Int($1) }) / Double(part.count))
        }
        let highest = max(points.map(\.most).max() ?? 1, 1)
        func x(_ second: Int) -> Int { left + second * width / seconds }
        func y(_ value: Double) -> String {
            let tenths = Int((Double(top + height) - value / highest * Double(height)) * 10)
            return "\(tenths / 10).\(tenths % 10)"
        }
        func line(_ values: [Double], _ style: String) -> String {
            let path = values.enumerated().map { "\(x($0 * span)),\(y($1))" }.joined(separator: " ")
            return "<polyline points=\"\(path)\" fill=\"none\" \(style)/>\n"
        }
        svg += "<text x=\"\(left)\" y=\"\(top - 8)\" font-weight=\"bold\">\(result.scenario.title)</text>\n"
        if let outage = result.scenario.outage {
            svg +=
                "<rect x=\"\(x(outage.lowerBound))\" y=\"\(top)\" width=\"\(x(outage.upperBound) - x(outage.lowerBound))\" "
                + "height=\"\(height)\" fill=\"#f4dcdc\"/>\n"
        }
        svg += line(points.map(\.most), "stroke=\"#9db8dc\" stroke-width=\"1\"")
        svg += line(points.map(\.mean), "stroke=\"#1f4e96\" stroke-width=\"1.5\"")
        let steady = result.steadyRate(schedule)
        svg +=
            "<line x1=\"\(left)\" x2=\"\(left + width)\" y1=\"\(y(steady))\" y2=\"\(y(steady))\" stroke=\"#2a8a3a\" "
            + "stroke-dasharray=\"4 4\"/>\n"
        svg += "<text x=\"\(left - 6)\" y=\"\(top + 10)\" text-anchor=\"end\">\(Int(highest))/s</text>\n"
        svg += "<text x=\"\(left - 6)\" y=\"\(top + height)\" text-anchor=\"end\">0</text>\n"
        let hours = seconds / 3600
        for hour in stride(from: 0, through: hours, by: max(hours / 6, 1)) {
            svg += "<text x=\"\(x(hour * 3600))\" y=\"\(top + height + 14)\" text-anchor=\"middle\">\(hour) h</text>\n"
        }
    }
    return svg + "</svg>\n"
}
