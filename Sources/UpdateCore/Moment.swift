extension Context {
    private static let soon: Seconds = 120
    private static let day: Seconds = 86_400
    /// More than three thousand years after 1970, in seconds.
    private static let endOfTime: Seconds = 1e11
    private static let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    /// Renders a moment of the wall clock in local time: `2026-11-25 19:02`. Any other number of seconds: `an unknown time`.
    func date(_ time: WallTime) -> String {
        guard (0..<Self.endOfTime).contains(time.unixSeconds) else { return "an unknown time" }
        let minutes = Int64(cut: zone.local(time) / 60)
        // Days since 0000-03-01 in the proleptic Gregorian calendar: the leap day is the last day of such a year.
        let days = minutes / 1440 + 719_468
        let (era, dayOfEra) = (days / 146_097, days % 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = era * 400 + yearOfEra + (month > 9 ? 1 : 0)
        func two(_ number: Int64) -> String { (number < 10 ? "0" : "") + "\(number)" }
        return "\(year)-\(two(month > 9 ? month - 9 : month + 3))-\(two(day)) "
            + "\(two(minutes % 1440 / 60)):\(two(minutes % 60))"
    }

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
        let away = Int64(cut: days - (zone.local(time) / Self.day).rounded(.down))
        guard (0...6).contains(away) else { return "in \(describe(delay))" }
        let minutes = Int64(cut: (local - days * Self.day) / 60)
        let (hour, minute) = (minutes / 60, minutes % 60)
        let clock = "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute)"
        // 1970-01-01 was a Thursday.
        return away == 0 ? "at \(clock)" : "on \(Self.weekdays[Int((Int64(cut: days) + 3) % 7)]) at \(clock)"
    }
}
