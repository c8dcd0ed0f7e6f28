extension Context {
    private static let soon: Seconds = 120
    private static let day: Seconds = 86_400
    /// Some three thousand years after 1970, in seconds.
    private static let endOfTime: Seconds = 1e11
    private static let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    /// A moment for people, in local time: `in 40 s`, `at 15:40`, `on Thu at 03:10`. A line that is shown for hours says when
    /// something happens, not in how long; but for what is soon, more than six days away, or on a box without a clock.
    func when(_ moment: BootInstant, _ state: AgentState) -> String {
        let delay = moment - now
        // What is stored, and a clock, may be of any size: no date is made of what is none.
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
