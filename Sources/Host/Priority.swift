import CHost
import Glibc
public import UpdateCore

/// The processor and disk priority of this process.
public enum Priority {
    /// Lowers both priorities. Errors are ignored: the process then works at its old priority.
    public static func lower(to priority: DownloadPriority) {
        // ioprio_set(2): 2 is best effort, with 7 as its lowest level; 3 is idle.
        _ =
            switch priority.ioClass {
            case .idle: upgradelink_set_io_priority(3, 0)
            case .bestEffort: upgradelink_set_io_priority(2, 7)
            }
        if priority.nice > 0 { setpriority(CInt(PRIO_PROCESS.rawValue), 0, CInt(priority.nice)) }
    }
}
