public import UpdateCore

/// A chart of requests over time as SVG, with a panel for each scenario. All panels have the same scales, so that their heights and
/// lengths can be compared. The figures in it are those of ``FleetTable``.
public func fleetChart(_ results: [FleetResult], _ schedule: PollSchedule) -> String {
    FleetChart(results, schedule).text
}

private struct FleetChart {
    private static let (left, width, right) = (70, 800, 20)
    private static let (head, panel, strip) = (98, 84, 150)
    /// Pixels from the top of a strip to its panel: two lines of text.
    private static let title = 40

    private let results: [FleetResult]
    private let schedule: PollSchedule
    /// The limit of the vertical axis, in requests per second.
    private let highest: Int
    /// The limit of the horizontal axis, in seconds.
    private let longest: Int

    init(_ results: [FleetResult], _ schedule: PollSchedule) {
        (self.results, self.schedule) = (results, schedule)
        highest = Self.round(results.map { Int($0.requests.max() ?? 0) }.max() ?? 0)
        longest = max(results.map(\.requests.count).max() ?? 0, 3600)
    }

    /// The next number of the form 1, 2, 4, 5, 6 or 8 times a power of ten, so that the half of it is a good label.
    private static func round(_ value: Int) -> Int {
        var power = 1
        while true {
            for factor in [1, 2, 4, 5, 6, 8] where factor * power >= value { return max(factor * power, 2) }
            power *= 10
        }
    }

    var text: String {
        let height = Self.head + results.count * Self.strip + 10
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.left + Self.width + Self.right) \(height)" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            \(legend)\(results.enumerated().map { strip($1, top: Self.head + $0 * Self.strip) }.joined())</svg>

            """
    }

    private static func label(_ x: Int, _ y: Int, _ text: String, _ style: String = "") -> String {
        "<text x=\"\(x)\" y=\"\(y)\"\(style.isEmpty ? "" : " " + style)>\(text)</text>\n"
    }

    // MARK: the legend

    private static let most = "stroke=\"#9db8dc\" stroke-width=\"1\""
    private static let mean = "stroke=\"#1f4e96\" stroke-width=\"1.5\""
    private static let steady = "stroke=\"#2a8a3a\" stroke-dasharray=\"4 4\""
    private static let allowed = "stroke=\"#b05a00\" stroke-dasharray=\"8 3\""
    private static let release = "stroke=\"#777777\" stroke-dasharray=\"1 3\""
    private static let outage = "fill=\"#f4dcdc\""

    private var steadyRate: Int { results.first.map { Int($0.steadyRate(schedule).rounded()) } ?? 0 }

    private var legend: String {
        let devices = results.first.map { "\($0.devices) devices, seed \($0.seed), " } ?? ""
        let options =
            "poll.interval \(describe(schedule.interval)), splay \(describe(schedule.splay)), backOffBase "
            + "\(describe(schedule.backOffBase)), backOffCap \(describe(schedule.backOffCap))"
        var svg = Self.label(
            Self.left, 20, "Polls and reports of a fleet, in requests per second",
            "font-weight=\"bold\" font-size=\"14\"")
        svg += Self.label(Self.left, 38, devices + options)
        let lines = [
            ("mean", Self.mean), ("highest second", Self.most),
            ("one poll per interval (\(steadyRate)/s)", Self.steady),
            ("allowed, if the server throttles", Self.allowed),
        ]
        var x = Self.left
        for (name, style) in lines {
            svg += "<line x1=\"\(x)\" x2=\"\(x + 24)\" y1=\"56\" y2=\"56\" \(style)/>\n" + Self.label(x + 30, 60, name)
            x += 48 + name.utf8.count * 7
        }
        x = Self.left
        svg += "<rect x=\"\(x)\" y=\"70\" width=\"24\" height=\"12\" \(Self.outage)/>\n"
        svg += Self.label(x + 30, 80, "the server, or the file, is not available")
        x += 320
        svg += "<line x1=\"\(x + 12)\" x2=\"\(x + 12)\" y1=\"68\" y2=\"84\" \(Self.release)/>\n"
        svg += Self.label(x + 30, 80, "the version is released for a (larger) share of the devices")
        return svg
    }

    // MARK: a panel

    private func x(_ second: Int) -> Int { Self.left + second * Self.width / longest }

    private func y(_ value: Double, _ top: Int) -> String {
        let tenths = Int((Double(top + Self.panel) - value / Double(highest) * Double(Self.panel)) * 10)
        return "\(tenths / 10).\(tenths % 10)"
    }

    private func strip(_ result: FleetResult, top start: Int) -> String {
        let (top, seconds) = (start + Self.title, result.requests.count)
        var svg = Self.label(Self.left, start + 16, result.scenario.title, "font-weight=\"bold\"")
        svg += Self.label(Self.left, start + 32, figures(result), "fill=\"#444444\"")
        for outage in [result.scenario.outage, result.scenario.fileOutage].compactMap({ $0 }) {
            svg +=
                "<rect x=\"\(x(outage.lowerBound))\" y=\"\(top)\" width=\"\(x(outage.upperBound) - x(outage.lowerBound))\" "
                + "height=\"\(Self.panel)\" \(Self.outage)/>\n"
        }
        svg += axes(top, seconds)
        for release in result.scenario.releases {
            svg +=
                "<line x1=\"\(x(release.at))\" x2=\"\(x(release.at))\" y1=\"\(top)\" y2=\"\(top + Self.panel)\" "
                + "\(Self.release)/>\n"
        }
        // Every second pixel has one point: the maximum and the mean of its seconds.
        let span = max(2 * longest / Self.width, 1)
        let points = stride(from: 0, to: seconds, by: span).map { start in
            let part = result.requests[start..<min(start + span, seconds)]
            return (
                second: start, most: Double(part.max() ?? 0),
                mean: Double(part.reduce(0) { $0 + Int($1) }) / Double(part.count)
            )
        }
        func line(_ style: String, _ value: ((second: Int, most: Double, mean: Double)) -> Double) -> String {
            let path = points.map { "\(x($0.second)),\(y(value($0), top))" }.joined(separator: " ")
            return "<polyline points=\"\(path)\" fill=\"none\" \(style)/>\n"
        }
        svg += line(Self.most, \.most) + line(Self.mean, \.mean)
        func level(_ value: Double, _ style: String) -> String {
            "<line x1=\"\(Self.left)\" x2=\"\(x(seconds))\" y1=\"\(y(value, top))\" y2=\"\(y(value, top))\" \(style)/>\n"
        }
        svg += level(result.steadyRate(schedule), Self.steady)
        if let allowed = result.allowedPeak(schedule) { svg += level(min(allowed, Double(highest)), Self.allowed) }
        return svg
    }

    /// The frame, and the labels with their units.
    private func axes(_ top: Int, _ seconds: Int) -> String {
        let bottom = top + Self.panel
        var svg =
            "<rect x=\"\(Self.left)\" y=\"\(top)\" width=\"\(x(seconds) - Self.left)\" height=\"\(Self.panel)\" fill=\"none\" "
            + "stroke=\"#cccccc\"/>\n"
        for (value, place) in [(highest, top + 4), (highest / 2, top + Self.panel / 2 + 4), (0, bottom + 4)] {
            svg += Self.label(Self.left - 6, place, "\(value)/s", "text-anchor=\"end\"")
        }
        let hours = longest / 3600
        for hour in stride(from: 0, through: seconds / 3600, by: max(hours / 12, 1)) {
            svg += Self.label(x(hour * 3600), bottom + 15, "\(hour) h", "text-anchor=\"middle\"")
        }
        return svg
    }

    /// The figures of the table.
    private func figures(_ result: FleetResult) -> String {
        let isLater = result.scenario.outage != nil || result.scenario.fileOutage != nil
        var text = "highest second \(result.peak)/s, 99 % of the seconds \(result.percentile99)/s"
        if isLater { text = "afterwards: " + text }
        if let allowed = result.allowedPeak(schedule) { text += ", allowed \(Int(allowed.rounded()))/s" }
        if let half = result.time(untilUpdated: 0.5) { text += "; half updated after \(describe(Seconds(half)))" }
        if let all = result.time(untilUpdated: 1) { text += ", all after \(describe(Seconds(all)))" }
        return text
    }
}
