import CHost
import Glibc
public import UpdateCore

/// How much of the box this process takes from others.
public enum Priority {
    /// A system that does not allow it is no error: the work is done all the same.
    public static func lower(to courtesy: DownloadCourtesy) {
        // ioprio_set(2): 2 is best effort, with 7 as its lowest level; 3 is idle.
        _ =
            switch courtesy.ioClass {
            case .idle: upgradelink_set_io_priority(3, 0)
            case .bestEffort: upgradelink_set_io_priority(2, 7)
            }
        if courtesy.nice > 0 { setpriority(CInt(PRIO_PROCESS.rawValue), 0, CInt(courtesy.nice)) }
    }
}
