import Glibc
import UpdateCore

/// The processes of this system at one moment (proc_pid_stat(5)).
struct ProcessTable {
    struct Entry: Hashable {
        let pid: pid_t
        let parent: pid_t
        let group: pid_t
        /// It waits for its parent to collect its end.
        let hasEnded: Bool
    }

    let entries: [pid_t: Entry]

    init() {
        var entries: [pid_t: Entry] = [:]
        for pid in ((try? Files.list("/proc")) ?? []).compactMap({ pid_t($0) }) { entries[pid] = Self.entry(pid) }
        self.entries = entries
    }

    private static func entry(_ pid: pid_t) -> Entry? {
        // The name, in parentheses, may contain anything, other parentheses too.
        guard let bytes = try? Files.read("/proc/\(pid)/stat", limit: 65_536),
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 2, let parent = pid_t(fields[1]), let group = pid_t(fields[2]) else { return nil }
        return Entry(pid: pid, parent: parent, group: group, hasEnded: ["Z", "X"].contains(fields[0]))
    }

    /// The children of a process, and theirs, without some of its children.
    func descendants(of pid: pid_t, without excluded: Set<pid_t> = []) -> [Entry] {
        let children = Dictionary(grouping: entries.values, by: \.parent)
        var found: [Entry] = []
        var seen: Set = [pid]
        var parents = [pid]
        while let parent = parents.popLast() {
            for child in children[parent] ?? [] {
                if parent == pid, excluded.contains(child.pid) { continue }
                // Processes end while the table is read, and a number may have a new owner.
                guard seen.insert(child.pid).inserted else { continue }
                found.append(child)
                parents.append(child.pid)
            }
        }
        return found.sorted { $0.pid < $1.pid }
    }

    /// The process, its parent, that one's parent, and so on.
    func lineage(of pid: pid_t) -> Set<pid_t> {
        var found: Set<pid_t> = []
        var next = pid
        while next > 0, found.insert(next).inserted { next = entries[next]?.parent ?? 0 }
        return found
    }

    /// The process groups that have only these members.
    func groups(of members: [Entry]) -> Set<pid_t> {
        let pids = Set(members.map(\.pid))
        let others = Set(entries.values.filter { !pids.contains($0.pid) && !$0.hasEnded }.map(\.group))
        return Set(members.map(\.group)).subtracting(others).filter { $0 > 1 }
    }

    /// A process in a message: its number and command line, or its name if it has none.
    static func description(of pid: pid_t) -> String {
        let line = ((try? Files.read("/proc/\(pid)/cmdline", limit: 1 << 21)) ?? []).prefix(400)
        let text = String(decoding: line.map { $0 == 0 ? 0x20 : $0 }, as: UTF8.self).sanitized(limit: 80)
        guard text.isEmpty else { return "process \(pid) (\(text))" }
        let name = String(decoding: (try? Files.read("/proc/\(pid)/comm", limit: 64)) ?? [], as: UTF8.self)
        return "process \(pid) (\(name.sanitized(limit: 40)))"
    }

    // MARK: ending

    /// How often processes that start others are looked for again before all are killed.
    private static let passes = 50

    /// Stops the processes that a function finds, so that they start no others, until it finds no more; then kills them.
    static func kill(_ find: (ProcessTable) -> [Entry]) {
        var stopped: Set<pid_t> = []
        for _ in 0..<passes {
            let table = ProcessTable()
            let found = find(table)
            let new = found.filter { stopped.insert($0.pid).inserted }
            if new.isEmpty { break }
            table.signal(SIGSTOP, new, among: found)
        }
        let table = ProcessTable()
        let found = find(table)
        table.signal(SIGKILL, found, among: found)
    }

    /// A signal to the group also reaches a member that has replaced another one meanwhile.
    private func signal(_ number: CInt, _ some: [Entry], among all: [Entry]) {
        for group in groups(of: all) { Glibc.kill(-group, number) }
        for entry in some { Glibc.kill(entry.pid, number) }
    }

    /// Kills what a function finds, and waits for the ends, for at most this time in seconds.
    ///
    /// - Returns: the descriptions of what was found, at most ``ProcessTable/maximumDescriptions``.
    static func end(within seconds: Seconds, _ find: (ProcessTable) -> [Entry]) -> [String] {
        var descriptions: [pid_t: String] = [:]
        let start = Clock.bootTime
        while Clock.bootTime - start < seconds {
            let found = find(ProcessTable())
            if found.isEmpty { break }
            for entry in found where descriptions[entry.pid] == nil && descriptions.count < maximumDescriptions {
                descriptions[entry.pid] = description(of: entry.pid)
            }
            kill(find)
            usleep(10_000)
        }
        return descriptions.sorted { $0.key < $1.key }.map(\.value)
    }

    static let maximumDescriptions = 20
}
