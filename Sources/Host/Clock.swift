import CHost
import Glibc
public import UpdateCore

/// The clocks of this machine.
public enum Clock {
    public static var bootTime: BootInstant { BootInstant(read(CLOCK_BOOTTIME)) }
    public static var wallTime: WallTime { WallTime(unixSeconds: read(CLOCK_REALTIME)) }

    /// CLOCK_MONOTONIC in microseconds, for `MONOTONIC_USEC=` (sd_notify(3)).
    public static var monotonicMicroseconds: UInt64 { UInt64(read(CLOCK_MONOTONIC) * 1e6) }

    /// A new one with every boot of the kernel.
    public static func bootID() throws(SystemError) -> String {
        let bytes = try Files.read("/proc/sys/kernel/random/boot_id", limit: 64)
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }

    /// When this program was built, less a day for the builder's time zone: no right clock shows an earlier time.
    public static let buildTime: WallTime = {
        let words = String(cString: upgradelink_build_time()).split(separator: " ").map(String.init)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard
            words.count == 4, let month = months.firstIndex(of: words[0]), let day = Int(words[1]),
            let year = Int(words[2])
        else { return WallTime(unixSeconds: 0) }
        var date = tm()
        date.tm_mday = CInt(day)
        date.tm_mon = CInt(month)
        date.tm_year = CInt(year - 1900)
        return WallTime(unixSeconds: Seconds(timegm(&date)) - 86_400)
    }()

    private static func read(_ clock: clockid_t) -> Seconds {
        var time = timespec()
        clock_gettime(clock, &time)
        return Seconds(time.tv_sec) + Seconds(time.tv_nsec) / 1e9
    }
}
