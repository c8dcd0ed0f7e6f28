import Host
import Systemd
import UpdateCore

/// The process that called a method, as the bus reported it.
struct Caller: CustomStringConvertible {
    let uid: UInt64
    let pid: UInt64?
    /// The IDs of its groups; nil if the bus does not report them.
    let groups: [UInt64]?
    /// The name of its program (proc(5), `comm`), which the program itself can choose; nil if the process has ended.
    let command: String?

    /// From the reply to `GetConnectionCredentials` (D-Bus specification); nil without a user ID.
    ///
    /// - Parameter processes: the directory that contains each process's directory.
    init?(_ credentials: [String: BusValue], processes: String) {
        guard let uid = credentials["UnixUserID"]?.number else { return nil }
        self.uid = uid
        pid = credentials["ProcessID"]?.number
        groups = credentials["UnixGroupIDs"]?.items?.compactMap(\.number)
        command = pid.flatMap { pid in
            (try? Files.read("\(processes)/\(pid)/comm", limit: 256)).map {
                String(decoding: $0, as: UTF8.self).sanitized(limit: 64)
            }
        }
    }

    /// For the journal: `uid 1000, pid 4711 (player)`.
    var description: String {
        var line = "uid \(uid)"
        if let pid { line += ", pid \(pid)" }
        if let command { line += " (\(command))" }
        return line
    }
}
