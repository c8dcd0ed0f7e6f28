import Glibc
import Host
public import UpdateCore

/// A disk that loses unsynced data in a power cut. The preloaded library `faultydisk` writes the journal that this type reads.
/// What POSIX does not define is random: unsynced bytes are kept, are zeros, or are missing, and directories lose all changes
/// after some moment.
///
/// It loses more than ext4, which keeps a file's name once the file has been synced.
public struct VolatileDisk: Sendable {
    private let directory: String
    /// Paths with this prefix are on the disk.
    private let prefix: String

    public init(_ scratch: Scratch, prefix: String) throws {
        directory = "\(scratch.path)/crash"
        self.prefix = prefix
        try Files.createDirectory(directory)
    }

    /// - Parameter call: the number of the call before which its process is killed; 0 for none.
    public func environment(crashAt call: Int, keepsJournal: Bool) -> [String: String] {
        var environment = [
            "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "CRASH_DIRECTORY": directory, "CRASH_AT": "\(call)",
            "FAULT_BOOT_ID": "\(directory)/boot-id",
        ]
        if keepsJournal { environment["CRASH_DISK"] = prefix }
        return environment
    }

    /// The program that was killed.
    public var hit: String? {
        (try? Files.read("\(directory)/hit", limit: 100)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Calls so far.
    public var calls: Int { (try? Files.read("\(directory)/count", limit: 1 << 20).count) ?? 0 }

    /// Sets another boot id, as after a reboot.
    public func newBoot() throws {
        try Files.replace("\(directory)/boot-id", with: Array("boot-\(UInt64.random(in: 0 ... .max))\n".utf8))
    }

    /// Ends every process that was started for this disk: each has its directory in the environment.
    public func endProcesses() async {
        let mark = "CRASH_DIRECTORY=\(directory)\0"
        func running() -> [pid_t] {
            ((try? Files.list("/proc")) ?? []).compactMap { pid_t($0) }.filter { pid in
                guard let bytes = try? Files.read("/proc/\(pid)/environ", limit: 1 << 20) else { return false }
                return String(decoding: bytes, as: UTF8.self).contains(mark)
            }
        }
        // A power cut stops all of them at one moment: none may see another one end, and store that.
        var stopped: Set<pid_t> = []
        while case let others = Set(running()).subtracting(stopped), !others.isEmpty {
            others.forEach { kill($0, SIGSTOP) }
            stopped.formUnion(others)
        }
        _ = await eventually(within: 10) {
            let processes = running()
            processes.forEach { kill($0, SIGKILL) }
            return processes.isEmpty
        }
    }

    private struct Change {
        var what: Substring
        var path: String
        var from: String
        var kept: String
        var size: ByteCount
    }

    /// Whether this file was renamed into place, and its directory was synced afterwards.
    public func hasStored(_ path: String) -> Bool {
        let changes = journal()
        guard let place = changes.lastIndex(where: { $0.what == "rename" && $0.path == path }) else { return false }
        return changes[place...].contains { $0.what == "sync" && $0.path == Files.directory(of: path) }
    }

    private func journal() -> [Change] {
        let bytes = (try? Files.read("\(directory)/journal", limit: 64 << 20)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
            return Change(
                what: parts[0], path: String(parts[1]), from: String(parts[2]), kept: String(parts[3]),
                size: ByteCount(parts[4]) ?? 0)
        }
    }

    /// Cuts the power, and empties the journal. Every process must have ended before.
    public func cutPower(_ chance: inout Chance) throws {
        /// The synced bytes of each changed file; the other files are complete.
        var synced: [String: ByteCount] = [:]
        var pending: [Change] = []
        for change in journal() {
            switch change.what {
            case "write": if synced[change.path] == nil { synced[change.path] = 0 }
            case "truncate": synced[change.path] = 0
            case "sync":
                if synced[change.path] != nil { synced[change.path] = change.size }
                pending.removeAll { Files.directory(of: $0.path) == change.path }
            case "create":
                synced[change.path] = 0
                pending.append(change)
            case "rename":
                synced[change.path] = synced.removeValue(forKey: change.from)
                pending.append(change)
            default: pending.append(change)
            }
        }
        let lasting = pending.isEmpty ? 0 : Int.random(in: 0...pending.count, using: &chance)
        for change in pending[lasting...].reversed() {
            switch change.what {
            case "rename":
                guard Files.exists(change.path) else { continue }
                try Files.rename(change.path, to: change.from)
                synced[change.from] = synced.removeValue(forKey: change.path)
                if !change.kept.isEmpty { rename(change.kept, change.path) }
            case "create", "link": unlink(change.path)
            default: if !change.kept.isEmpty { rename(change.kept, change.path) }
            }
        }
        for (path, size) in synced.sorted(by: { $0.key < $1.key }) where Files.exists(path) {
            let file = try OpenFile(path, O_RDWR)
            let length = try file.size
            guard length > size else { continue }
            switch Int.random(in: 0..<3, using: &chance) {
            case 0: try file.truncate(to: ByteCount.random(in: size...length, using: &chance))
            case 1:
                // The length has been stored, and the content has not.
                try file.truncate(to: size)
                try file.truncate(to: length)
            default: break
            }
        }
        for name in try Files.list(directory) where name == "journal" || name.hasPrefix("kept-") {
            try Files.remove("\(directory)/\(name)")
        }
    }
}
