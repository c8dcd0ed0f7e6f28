extension Context {
    private static let soon: Seconds = 120
    private static let day: Seconds = 86_400
    /// More than three thousand years after 1970, in seconds.
    private static let endOfTime: Seconds = 1e11
    private static let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    /// Renders a moment for the user, in local time: `in 40 s`, `at 15:40`, `on Thu at 03:10`. A status line stays for hours, so
    /// it shows a time. It shows a duration for the next two minutes, after more than six days, and if the time is unknown.
    func when(_ moment: BootInstant, _ state: AgentState) -> String {
        let delay = moment - now
        // A stored moment or a clock may have any value, also one that is not a date.
        guard (Self.soon..<7 * Self.day).contains(delay), let time = knownTime(state),
            (0..<Self.endOfTime).contains(time.unixSeconds)
        else { return "in \(describe(delay))" }
        let local = zone.local(time + delay)
        let days = (local / Self.day).rounded(.down)
        let away = Int(days - (zone.local(time) / Self.day).rounded(.down))
        guard (0...6).contains(away) else { return "in \(describe(delay))" }
        let minutes = Int((local - days * Self.day) / 60)
        let (hour, minute) = (minutes / 60, minutes % 60)
        let clock = "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute)"
        // 1970-01-01 was a Thursday.
        return away == 0 ? "at \(clock)" : "on \(Self.weekdays[(Int(days) + 3) % 7]) at \(clock)"
    }
}
