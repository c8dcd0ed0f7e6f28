import UpdateCore

/// Decides which refused calls are logged: the first one, and then their number once a minute, because anybody can call.
struct RefusedCalls {
    /// Seconds between two lines.
    static let interval: Seconds = 60

    private var count = 0
    private(set) var isCounting = false

    /// - Returns: whether this call is logged. If so, ``summary()`` is due after ``interval``.
    mutating func isLogged() -> Bool {
        guard isCounting else {
            isCounting = true
            return true
        }
        count += 1
        return false
    }

    /// The line about the calls since the last line; nil if there were none, which ends the count.
    mutating func summary() -> String? {
        defer { count = 0 }
        isCounting = count > 0
        return count > 0 ? "Refused \(count) more calls on D-Bus within \(Int64(cut: Self.interval)) s" : nil
    }
}
