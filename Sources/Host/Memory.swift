import CHost
import Glibc
public import UpdateCore

/// Releases memory of a resident process that is idle most of the time.
public enum Memory {
    /// Returns free heap memory to the kernel, and unmaps the pages of code and constants. The kernel keeps these pages in the
    /// page cache while it has memory for them, and maps each again at its next use.
    public static func giveBack() {
        upgradelink_trim_heap()
        upgradelink_forget_code()
    }

    /// The bytes that this process may use, page cache included: the memory of the device, or the lowest limit of the control groups
    /// that it is in (memory.max of cgroups(7), version 2).
    public static var limit: ByteCount {
        let pages = ByteCount(clamping: sysconf(CInt(_SC_PHYS_PAGES)))
        let (device, isTooLarge) = pages.multipliedReportingOverflow(
            by: ByteCount(clamping: sysconf(CInt(_SC_PAGESIZE))))
        let own =
            (try? Files.read("/proc/self/cgroup", limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        var limit = isTooLarge ? ByteCount.max : device
        for line in own.split(separator: "\n") where line.hasPrefix("0::/") {
            var group = String(line.dropFirst(3))
            while group != "/", !group.isEmpty {
                if let bytes = try? Files.read("/sys/fs/cgroup\(group)/memory.max", limit: 64),
                    let most = ByteCount(String(decoding: bytes, as: UTF8.self).filter { $0 != "\n" })
                {
                    limit = min(limit, most)
                }
                group = Files.directory(of: group)
            }
        }
        return limit
    }
}
