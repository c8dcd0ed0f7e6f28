import Host

/// The calls of a program, and of those that it starts, that change files or sync them. The preloaded library `faultydisk` writes
/// them down, so that a test sees a sync that is missing, or that comes too late, without a power cut.
public struct CallLog: Sendable {
    public struct Call: Hashable, Sendable, CustomStringConvertible {
        /// `write`, `change` (of owner or mode), `sync`, `sync-all`, `rename`, `link` or `remove`.
        public var what: String
        /// Below the directory of the log.
        public var path: String
        /// The name before a rename.
        public var from: String

        public var description: String {
            [what, from.isEmpty ? path : "\(from) -> \(path)"].filter { !$0.isEmpty }.joined(separator: " ")
        }
    }

    private let file: String
    private let directory: String

    public init(_ scratch: Scratch) throws {
        directory = scratch.path
        file = "\(scratch.path)/calls"
        try Files.remove(file)
    }

    public var environment: [String: String] {
        [
            "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "CALLS_FILE": file,
            "CALLS_DIRECTORY": directory,
        ]
    }

    /// The arguments of env(1) that start a program with this log.
    public var assignments: [String] { environment.map { "\($0)=\($1)" } }

    /// All calls so far. A name that cannot be predicted is `TEMPORARY`.
    public var calls: [Call] {
        let bytes = (try? Files.read(file, limit: 64 << 20)) ?? []
        var calls: [Call] = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map { short(String($0)) }
            guard parts.count == 3 else { continue }
            let call = Call(what: parts[0], path: parts[1], from: parts[0] == "rename" ? parts[2] : "")
            if calls.last != call { calls.append(call) }
        }
        return calls
    }

    private func short(_ path: String) -> String {
        if path == directory { return "." }
        let path = path.hasPrefix(directory + "/") ? String(path.dropFirst(directory.count + 1)) : path
        return path.replacing(/\.upgradelink-(?!version)[0-9A-Za-z]{6,}/, with: "TEMPORARY")
    }

    /// Whether these calls are among the others, in this order.
    public func has(_ wanted: String...) -> Bool {
        var rest = wanted[...]
        for call in calls where call.description == rest.first { rest = rest.dropFirst() }
        return rest.isEmpty
    }

    /// What a power cut could undo, or do by halves: a file that got its name before its content was on the disk, and a name that is
    /// not on the disk in the end.
    ///
    /// - Parameter isExcused: names that may be lost.
    public func complaints(except isExcused: (Call) -> Bool = { _ in false }) -> [String] {
        let calls = calls
        var dirty: Set<String> = []
        var complaints: [String] = []
        for (index, call) in calls.enumerated() {
            switch call.what {
            case "write", "change": dirty.insert(call.path)
            case "sync": dirty.remove(call.path)
            case "sync-all": dirty = []
            case "remove": dirty.remove(call.path)
            case "rename":
                if dirty.contains(call.from) { complaints.append("\(call) comes before its sync") }
                let inside = dirty.filter { $0.hasPrefix(call.from + "/") }
                if !inside.isEmpty { complaints.append("\(call) comes before the sync of \(inside.sorted())") }
                dirty.remove(call.from)
            default: break
            }
            guard ["rename", "link", "remove"].contains(call.what), !isExcused(call) else { continue }
            let above = Files.directory(of: call.path)
            let isSynced = calls[index...].contains { $0.what == "sync-all" || $0.what == "sync" && $0.path == above }
            if !isSynced { complaints.append("\(call) has no sync of \(above)") }
        }
        return complaints + dirty.sorted().map { "\($0) is not synced" }
    }
}
