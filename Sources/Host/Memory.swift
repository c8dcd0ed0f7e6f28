import CHost

/// Releases memory of a resident process that is idle most of the time.
public enum Memory {
    /// Returns free heap memory to the kernel, and unmaps the pages of code and constants. The kernel keeps these pages in the
    /// page cache while it has memory for them, and maps each again at its next use.
    public static func giveBack() {
        upgradelink_trim_heap()
        upgradelink_forget_code()
    }
}
