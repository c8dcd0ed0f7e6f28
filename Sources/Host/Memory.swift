import CHost

/// What a process that is there for good, and idle most of the time, does about its memory.
public enum Memory {
    /// Gives back what is not needed until something happens again: free memory, and the mappings of code and constants. The
    /// code itself stays in the page cache for as long as nobody else wants that room, and is mapped again page by page.
    public static func giveBack() {
        upgradelink_trim_heap()
        upgradelink_forget_code()
    }
}
