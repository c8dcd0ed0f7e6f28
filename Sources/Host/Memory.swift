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
        // Version 2 is the hierarchy without controllers.
        let group = ServiceProcesses.controlGroups(of: "self")[""] ?? "/"
        return limit(device: isTooLarge ? .max : device, group: group) { group in
            let bytes = (try? Files.read("/sys/fs/cgroup\(group)/memory.max", limit: 64)) ?? []
            return ByteCount(String(decoding: bytes, as: UTF8.self).filter { $0 != "\n" })
        }
    }

    /// - Parameters:
    ///   - device: bytes.
    ///   - group: the path of a control group; those above it count too.
    ///   - most: memory.max of a group in bytes; nil if it has no limit.
    static func limit(device: ByteCount, group: String, most: (String) -> ByteCount?) -> ByteCount {
        var (limit, group) = (device, group)
        while group.hasPrefix("/"), group != "/" {
            limit = min(limit, most(group) ?? limit)
            group = Files.directory(of: group)
        }
        return limit
    }
}
