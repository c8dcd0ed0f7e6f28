public import UpdateCore

/// Whether the clock of the device is right.
public enum ClockFinding {
    public static let name = "clock"

    /// - Parameters:
    ///   - built: when this program was built: an earlier time is wrong.
    ///   - server: the server's time, if the server refused the device's or if the server's certificate is not valid by it.
    ///   - isCompared: the server has accepted, or corrected, the time of a request.
    ///   - isSynchronized: an NTP client keeps the clock right; nil: unknown.
    ///   - text: shows a time.
    public static func finding(
        now: WallTime, built: WallTime, server: WallTime?, isCompared: Bool, isSynchronized: Bool?,
        text: (WallTime) -> String
    ) -> Finding {
        let remedy =
            isSynchronized == true
            ? "check the time server of the NTP client" : "set it, and keep it right: timedatectl set-ntp true"
        if let server {
            let distance = now - server
            return .bad(
                name,
                "\(text(now)) is \(describe(abs(distance))) \(distance < 0 ? "behind" : "ahead of") the server's time, \(text(server))",
                remedy)
        }
        if now < built {
            return .bad(
                name, "\(text(now)) is before this program was built: it is at least \(describe(built - now)) behind",
                remedy)
        }
        let source =
            switch isSynchronized {
            case true?: "synchronized"
            case false?: "no NTP client keeps it right"
            case nil: "unknown whether an NTP client keeps it right"
            }
        let comparison = isCompared ? "the server accepts it" : "not compared, because the server does not respond"
        return .ok(name, "\(text(now)); \(comparison); \(source)")
    }
}
