import Glibc
import UpdateCore

/// The processes in the control groups of a service and its siblings: those that a process left behind when it was killed stay
/// there, whatever they have done to their session, their group and their environment.
public struct ServiceProcesses: Sendable {
    /// What the names of the services begin with.
    private let prefix: String
    /// The control group that contains the services, with a slash at its end.
    private let parent: String
    /// The hierarchy of control groups that the service manager uses.
    private let hierarchy: String

    /// Nil if this process is in no such service.
    ///
    /// - Parameter prefix: what the names of the services begin with.
    public init?(prefix: String) {
        let groups = Self.controlGroups(of: "self")
        for hierarchy in Self.hierarchies {
            guard let names = groups[hierarchy]?.split(separator: "/", omittingEmptySubsequences: false),
                let index = names.lastIndex(where: { Self.isService($0, prefix) })
            else { continue }
            self.prefix = prefix
            self.hierarchy = hierarchy
            parent = names[..<index].map { "\($0)/" }.joined()
            return
        }
        return nil
    }

    /// Those that a service manager may use: its own one of version 1, and that of version 2, which has no name. In a container, both
    /// may be there, and one of them unused.
    private static let hierarchies = ["name=systemd", ""]

    private static func isService(_ name: some StringProtocol, _ prefix: String) -> Bool {
        name.hasPrefix(prefix) && name.hasSuffix(".service")
    }

    /// Kills all processes of the services, except this one, those that run the given program, and the parents of both. Waits until
    /// they have ended, for at most five seconds. A process that is being started may become one of the program: it is waited
    /// for, for at most three of these seconds.
    ///
    /// - Parameter program: the name of the program.
    /// - Returns: a description of each process that was found, of twenty at most.
    public func end(except program: String) -> [String] {
        let start = Clock.bootTime
        return ProcessTable.end(within: 5) { table in
            let members = table.entries.values.filter { !$0.hasEnded && contains($0.pid) }
            while Clock.bootTime - start < 3, members.contains(where: { Self.isStarting($0.pid) }) { usleep(2000) }
            let kept = members.filter { $0.pid == getpid() || Self.name($0.pid) == program }
                .reduce(into: table.lineage(of: getpid())) { $0.formUnion(table.lineage(of: $1.pid)) }
            return members.filter { !kept.contains($0.pid) }.sorted { $0.pid < $1.pid }
        }
    }

    private func contains(_ pid: pid_t) -> Bool {
        guard let path = Self.controlGroups(of: "\(pid)")[hierarchy], path.hasPrefix(parent) else { return false }
        return Self.isService(path.dropFirst(parent.count).prefix { $0 != "/" }, prefix)
    }

    /// The name that the process was started with: one file has all programs.
    private static func name(_ pid: pid_t) -> String {
        let line = (try? Files.read("/proc/\(pid)/cmdline", limit: 1 << 21)) ?? []
        return String(decoding: line.prefix { $0 != 0 }, as: UTF8.self).split(separator: "/").last.map(String.init)
            ?? ""
    }

    /// Whether the process is between fork(2) and the end of execve(2): until then systemd's child has a name in parentheses, and
    /// the kernel sets the command line last.
    private static func isStarting(_ pid: pid_t) -> Bool {
        guard let name = try? Files.read("/proc/\(pid)/comm", limit: 64), let first = name.first,
            let line = try? Files.read("/proc/\(pid)/cmdline", limit: 1 << 21)
        else { return false }
        return first == UInt8(ascii: "(") || line.isEmpty
    }

    static func controlGroups(of process: String) -> [String: String] {
        let bytes = (try? Files.read("/proc/\(process)/cgroup", limit: 65_536)) ?? []
        return controlGroups(in: String(decoding: bytes, as: UTF8.self))
    }

    /// The control group in each hierarchy, by its controllers (cgroups(7)).
    ///
    /// - Parameter text: of /proc/PID/cgroup.
    static func controlGroups(in text: String) -> [String: String] {
        var groups: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            if fields.count == 3 { groups[String(fields[1])] = String(fields[2]) }
        }
        return groups
    }
}
