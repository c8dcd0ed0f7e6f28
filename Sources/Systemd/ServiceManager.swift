import CSystemd
import Glibc
import Host
import UpdateCore

/// Messages to the service manager (sd_notify(3)). Without a service manager they have no effect.
public enum ServiceManager {
    /// Reports that the agent runs: a `Type=notify` unit counts as started from now on.
    public static func ready(status: String) { notify("READY=1\nSTATUS=\(oneLine(status))") }

    /// Sets the line that `systemctl status` shows.
    public static func status(_ text: String) { notify("STATUS=\(oneLine(text))") }

    /// The last status stays visible after the end of the process.
    public static func stopping() { notify("STOPPING=1\nSTATUS=\(stoppedStatus)") }

    /// Reports the begin of a reload; ``ready(status:)`` reports its end. A unit with `Type=notify-reload` requires the time.
    public static func reloading() { notify("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonicMicroseconds)") }

    /// The watchdog's keep-alive message; due at least once in each ``watchdogInterval``.
    public static func alive() { notify("WATCHDOG=1") }

    /// In seconds; nil if no watchdog is configured for this process (sd_watchdog_enabled(3)).
    public static var watchdogInterval: Double? {
        var microseconds: UInt64 = 0
        return sd_watchdog_enabled(0, &microseconds) > 0 ? Double(microseconds) / 1e6 : nil
    }

    private static func notify(_ message: String) { sd_notify(0, message) }

    /// systemd drops a whole message, with `READY=1` in it, that has more than 4,096 bytes (PIPE_BUF; notify_recv() in its
    /// source). A character can have many bytes. One that is cut becomes U+FFFD.
    private static let statusLimit = 3500

    private static func oneLine(_ text: String) -> String {
        let line = text.sanitized(limit: 1000)
        return line.utf8.count > statusLimit ? String(decoding: line.utf8.prefix(statusLimit), as: UTF8.self) : line
    }
}
