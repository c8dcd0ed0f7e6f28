import CHost
import Glibc
public import UpdateCore

/// The clocks of this machine.
public enum Clock {
    /// CLOCK_BOOTTIME: seconds since the boot, standby included.
    public static var bootTime: BootInstant { BootInstant(read(CLOCK_BOOTTIME)) }
    /// CLOCK_REALTIME: seconds since 1970 in UTC; the user and the network can set it.
    public static var wallTime: WallTime { WallTime(unixSeconds: read(CLOCK_REALTIME)) }

    /// Whether an NTP client, or a similar program, keeps the wall clock right (adjtimex(2)); nil if that is unknown.
    public static var isSynchronized: Bool? {
        let result = upgradelink_clock_is_synchronized()
        return result < 0 ? nil : result > 0
    }

    /// CLOCK_MONOTONIC in microseconds, for `MONOTONIC_USEC=` (sd_notify(3)).
    public static var monotonicMicroseconds: UInt64 {
        let now = moment(CLOCK_MONOTONIC)
        return UInt64(clamping: now.seconds) * 1_000_000 + UInt64(clamping: now.nanoseconds) / 1000
    }

    /// The kernel's boot ID, which changes with every boot (random(4)).
    ///
    /// A service manager may pass it in ``bootIDVariable``: in a container, a service with a /proc of its own finds the boot ID
    /// of the host there.
    ///
    /// - Throws: if the file in /proc cannot be read.
    public static func bootID() throws(SystemError) -> String {
        if let text = getenv(bootIDVariable), let id = dashed(String(cString: text)) { return id }
        let bytes = try Files.read("/proc/sys/kernel/random/boot_id", limit: 64)
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }

    /// Systemd's `%b` (systemd.unit(5)): 32 hexadecimal digits.
    public static let bootIDVariable = "UPGRADELINK_BOOT_ID"

    /// In the kernel's form, which stored files contain; nil if these are not 32 hexadecimal digits.
    static func dashed(_ digits: String) -> String? {
        guard digits.utf8.count == 32, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        var parts: [Substring] = []
        var rest = digits.lowercased()[...]
        for length in [8, 4, 4, 4, 12] {
            parts.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return parts.joined(separator: "-")
    }

    /// The build time of this program, minus one day for the builder's time zone. A clock that shows an earlier time is wrong.
    public static let buildTime: WallTime = {
        let words = String(cString: upgradelink_build_time()).split(separator: " ").map(String.init)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard
            words.count == 4, let month = months.firstIndex(of: words[0]), let day = Int(words[1]),
            let year = Int(words[2])
        else { return WallTime(unixSeconds: 0) }
        return Clock.date(year: CInt(clamping: year), month: CInt(month) + 1, day: CInt(clamping: day)) + -86_400
    }()

    /// A date and time in UTC. The month is from 1 to 12; values out of range count on, as a 32nd day does.
    public static func date(
        year: CInt, month: CInt, day: CInt, hour: CInt = 0, minute: CInt = 0, second: CInt = 0
    ) -> WallTime {
        WallTime(unixSeconds: Seconds(upgradelink_unix_time(year, month, day, hour, minute, second)))
    }

    /// When this boot began: when process 1 was started (proc_pid_stat(5), `starttime`). In a container CLOCK_BOOTTIME is that
    /// of the host, and began earlier.
    ///
    /// - Parameter processes: a /proc in which all processes are visible.
    public static func bootBegan(processes: String) -> BootInstant {
        let bytes = (try? Files.read("\(processes)/1/stat", limit: 4096)) ?? []
        // The name of the program is in parentheses, and may contain anything. `starttime` is the twentieth field after it.
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        let ticks = sysconf(CInt(_SC_CLK_TCK))
        guard fields.count > 19, let start = Seconds(String(fields[19])), ticks > 0 else { return BootInstant(0) }
        return BootInstant(start / Seconds(ticks))
    }

    private static func read(_ clock: clockid_t) -> Seconds { moment(clock).unixSeconds }

    private static func moment(_ clock: clockid_t) -> upgradelink_moment {
        var now = upgradelink_moment()
        upgradelink_clock(clock, &now)
        return now
    }
}

extension upgradelink_moment {
    var unixSeconds: Seconds { Seconds(seconds) + Seconds(nanoseconds) / 1e9 }
}
