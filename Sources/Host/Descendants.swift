import CHost
import Glibc
import UpdateCore

/// The processes that this process has started, and all that they have started. An orphan becomes a child of this process after
/// ``adopt()``, whatever it has done to its session, its group and its environment. What the service manager has started for it
/// is no descendant.
@MainActor public enum Descendants {
    static var areAdopted = false

    /// Makes this process the parent of orphaned descendants, and collects their ends. Call it only if no other code in this
    /// process starts processes and waits for them.
    public static func adopt() {
        guard upgradelink_adopt_orphans() == 0 else { return }
        areAdopted = true
        ChildProcess.watchForEnds()
    }

    /// Sends SIGTERM to all descendants.
    public static func requestEnds() {
        guard areAdopted else { return }
        for entry in ProcessTable().descendants(of: getpid()) where !entry.hasEnded {
            kill(entry.pid, SIGTERM)
            kill(entry.pid, SIGCONT)
        }
    }

    /// Ends all descendants except running ``ChildProcess``es and what these have started: SIGTERM, and SIGKILL two seconds later. Does
    /// nothing without ``adopt()``. It takes some seconds at most.
    ///
    /// - Parameters:
    ///   - onFound: called with the description of each process, once, and no more than twenty times.
    ///   - done: called once, possibly before this function returns, with the number of processes that were found and of those that
    ///     still run: the kernel ends no process that waits for a device.
    public static func end(
        onFound: @escaping @MainActor (String) -> Void,
        then done: @escaping @MainActor (_ found: Int, _ left: Int) -> Void
    ) {
        guard areAdopted else { return done(0, 0) }
        End(onFound, done).advance()
    }

    private static func orphans(_ table: ProcessTable) -> [ProcessTable.Entry] {
        table.descendants(of: getpid(), without: ChildProcess.runningProcesses)
    }

    /// One call of ``Descendants/end(onFound:then:)``.
    @MainActor private final class End {
        /// Seconds in which processes may end by themselves, as those in the middle of a pipe do.
        private static let settleTime: Seconds = 0.1
        /// Seconds between SIGTERM and SIGKILL.
        private static let killDelay: Seconds = 2
        /// Seconds after which the rest is left alone.
        private static let limit: Seconds = 7
        /// More processes than this do not get the time for an end of their own: they may become more and more.
        private static let crowd = 64

        private let onFound: @MainActor (String) -> Void
        private let done: @MainActor (Int, Int) -> Void
        private let start = Clock.bootTime
        private var found: Set<pid_t> = []

        init(_ onFound: @escaping @MainActor (String) -> Void, _ done: @escaping @MainActor (Int, Int) -> Void) {
            self.onFound = onFound
            self.done = done
        }

        func advance() {
            let all = orphans(ProcessTable())
            let alive = all.filter { !$0.hasEnded }
            let age = Clock.bootTime - start
            // One that has just ended may have started another one, which is not in the table.
            if all.isEmpty || age >= Self.limit { return done(found.count, alive.count) }
            if age < Self.settleTime, alive.count <= Self.crowd { return advance(after: 0.01) }
            for entry in alive where found.insert(entry.pid).inserted {
                if found.count <= ProcessTable.maximumDescriptions { onFound(ProcessTable.description(of: entry.pid)) }
                kill(entry.pid, SIGTERM)
                // A stopped process would not notice.
                kill(entry.pid, SIGCONT)
            }
            if age >= Self.killDelay || alive.count > Self.crowd {
                // Also what looks ended: another thread than the first one may still run.
                ProcessTable.kill(orphans)
            }
            advance(after: 0.02)
        }

        private func advance(after seconds: Seconds) { MainQueue.after(seconds) { self.advance() } }
    }
}
