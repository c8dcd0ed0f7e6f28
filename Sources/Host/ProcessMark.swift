import Glibc
import UpdateCore

/// A variable in the environment of a process, and so of whatever that one starts, by which they are found again once whoever
/// started them is gone (proc_pid_environ(5)).
public struct ProcessMark: Hashable, Sendable {
    public let name: String
    public let value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    /// Ends every process that has the mark, and waits until they are gone, for five seconds at the most.
    ///
    /// - Returns: how many there were.
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

    /// Of a process that has ended nothing can be read.
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
