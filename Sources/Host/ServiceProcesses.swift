import Glibc
import UpdateCore

/// The processes in the control groups of a service and its siblings: those that a process left behind when it was killed stay
/// there, whatever they have done to their session, their group and their environment.
public struct ServiceProcesses: Sendable {
    /// What the names of the services begin with.
    private let prefix: String
    /// The control group that contains the services, with a slash at its end.
    private let parent: String

    /// Nil if this process is in no such service.
    ///
    /// - Parameter prefix: what the names of the services begin with.
    public init?(prefix: String) {
        guard let own = Self.controlGroup(of: "self") else { return nil }
        let names = own.split(separator: "/", omittingEmptySubsequences: false)
        guard let index = names.lastIndex(where: { Self.isService($0, prefix) }) else { return nil }
        self.prefix = prefix
        parent = names[..<index].map { "\($0)/" }.joined()
    }

    private static func isService(_ name: some StringProtocol, _ prefix: String) -> Bool {
        name.hasPrefix(prefix) && name.hasSuffix(".service")
    }

    /// Kills all processes of the services, except this one, those that run the given program, and the parents of both. Waits until
    /// they have ended, for at most five seconds.
    ///
    /// - Parameter program: the name of the program.
    /// - Returns: a description of each process that was found, of twenty at most.
    public func end(except program: String) -> [String] {
        ProcessTable.end(within: 5) { table in
            let members = table.entries.values.filter { !$0.hasEnded && contains($0.pid) }
            let kept = members.filter { $0.pid == getpid() || Self.name($0.pid) == program }
                .reduce(into: table.lineage(of: getpid())) { $0.formUnion(table.lineage(of: $1.pid)) }
            return members.filter { !kept.contains($0.pid) }.sorted { $0.pid < $1.pid }
        }
    }

    private func contains(_ pid: pid_t) -> Bool {
        guard let path = Self.controlGroup(of: "\(pid)"), path.hasPrefix(parent) else { return false }
        return Self.isService(path.dropFirst(parent.count).prefix { $0 != "/" }, prefix)
    }

    /// The name that the process was started with: one file has all programs.
    private static func name(_ pid: pid_t) -> String {
        let line = (try? Files.read("/proc/\(pid)/cmdline", limit: 1 << 21)) ?? []
        return String(decoding: line.prefix { $0 != 0 }, as: UTF8.self).split(separator: "/").last.map(String.init)
            ?? ""
    }

    /// The control group that the service manager has put a process into (cgroups(7)): in the hierarchy of version 2, or in the
    /// manager's own one of version 1.
    static func controlGroup(of process: String) -> String? {
        let bytes = (try? Files.read("/proc/\(process)/cgroup", limit: 65_536)) ?? []
        return controlGroup(in: String(decoding: bytes, as: UTF8.self))
    }

    /// - Parameter text: of /proc/PID/cgroup.
    static func controlGroup(in text: String) -> String? {
        let lines = text.split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }
        let line =
            lines.first { $0.count == 3 && $0[1] == "name=systemd" } ?? lines.first { $0.count == 3 && $0[0] == "0" }
        return line.map { String($0[2]) }
    }
}
