import TestSupport
import Testing
import UpdateCore

@testable import Host

/// The disk priority of a download, as another program sees it.
@Suite struct PriorityTests {
    /// Best effort is also the class of all other processes: only the lowest level leaves the disk to them. A thread has the
    /// priority, and the programs that it starts inherit it (ioprio_set(2)).
    @Test(arguments: [(.idle, "idle"), (.bestEffort, "best-effort: prio 7")] as [(DownloadPriority.IOClass, String)])
    func theDiskPriorityIsTheLowestOfItsClass(ioClass: DownloadPriority.IOClass, text: String) async {
        let found = await OwnThread.run { () -> String? in
            Priority.lower(to: DownloadPriority(ioClass: ioClass, nice: 0, flushEvery: 0, keepCache: 0))
            return try? FilterProcess("ionice", []).readText(limit: 100)
        }
        #expect(found == text)
    }
}
