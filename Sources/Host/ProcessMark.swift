import Glibc
import UpdateCore

/// A variable in the environment of a process and of all processes that it starts. It identifies them after their parent has
/// ended (proc_pid_environ(5)).
public struct ProcessMark: Hashable, Sendable {
    public let name: String
    public let value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    /// Sends SIGKILL to every other process that has the mark, and waits until they have ended, for at most five seconds.
    ///
    /// - Returns: the number of processes that received the signal.
    @discardableResult
    public func endProcesses() -> Int {
        var ended: Set<pid_t> = []
        let start = Clock.bootTime
        while Clock.bootTime - start < 5.0 {
            let alive = processes
            if alive.isEmpty { break }
            for pid in alive { kill(pid, SIGKILL) }
            ended.formUnion(alive)
            usleep(10_000)
        }
        return ended.count
    }

    /// The other processes that have the mark. The environment of a process that has ended cannot be read.
    private var processes: [pid_t] {
        let wanted = Array("\(name)=\(value)".utf8)
        return ((try? Files.list("/proc")) ?? []).compactMap { pid_t($0) }.filter { pid in
            guard pid != getpid(), let bytes = try? Files.read("/proc/\(pid)/environ", limit: 1 << 20) else {
                return false
            }
            return bytes.split(separator: 0).contains { $0.elementsEqual(wanted) }
        }
    }
}
