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

    /// Kills every other process that has the mark, and waits until they have ended, for at most five seconds.
    ///
    /// - Returns: a description of each process that was found, of twenty at most.
    public func endProcesses() -> [String] {
        let wanted = Array("\(name)=\(value)".utf8)
        return ProcessTable.end(within: 5) { table in
            table.entries.values.filter { entry in
                // The environment of a process that has ended cannot be read.
                guard entry.pid != getpid(),
                    let bytes = try? Files.read("/proc/\(entry.pid)/environ", limit: 1 << 20)
                else { return false }
                return bytes.split(separator: 0).contains { $0.elementsEqual(wanted) }
            }
        }
    }
}
