import CSystemd
import Glibc
import Host

/// What the agent tells the service manager (sd_notify(3)). Without one nothing happens.
public enum ServiceManager {
    /// The loop runs; `Type=notify` units count as started from here on.
    public static func ready(status: String) { notify("READY=1\nSTATUS=\(oneLine(status))") }

    public static func status(_ text: String) { notify("STATUS=\(oneLine(text))") }

    public static func stopping() { notify("STOPPING=1\nSTATUS=Stopping") }

    /// Begins a reload, which ``ready(status:)`` ends. The time is what `Type=notify-reload` wants.
    public static func reloading() { notify("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonicMicroseconds)") }

    /// Proof of life; due at least once in ``watchdogInterval``.
    public static func alive() { notify("WATCHDOG=1") }

    /// In seconds; nil where no watchdog waits for this process (sd_watchdog_enabled(3)).
    public static var watchdogInterval: Double? {
        var microseconds: UInt64 = 0
        return sd_watchdog_enabled(0, &microseconds) > 0 ? Double(microseconds) / 1e6 : nil
    }

    private static func notify(_ message: String) { sd_notify(0, message) }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
