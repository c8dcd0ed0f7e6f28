import FoundationEssentials
import Host
import UpdateCore

/// The inhibitors of logind that block a reboot (org.freedesktop.login1(5), `ListInhibitors`). Users who are logged in do not
/// block it: the user interface of a device is often the session of a user.
@MainActor enum RebootInhibitors {
    private static let command = [
        "/usr/bin/busctl", "--json=short", "call", "org.freedesktop.login1", "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager", "ListInhibitors",
    ]

    private static let maximumResponseBytes = 1 << 20

    /// - Parameter done: called with a line that names the first one, or nil if there is none, or no logind.
    static func findFirst(then done: @escaping @MainActor (String?) -> Void) {
        var response = ""
        ChildProcess.start(
            Program(
                command[0], Array(command.dropFirst()), streams: .captured, workingDirectory: "/", timeLimit: 10),
            // One line, which arrives in parts if it is long.
            onLine: { if response.utf8.count < maximumResponseBytes { response += $0 } }, onErrorLine: { _ in }
        ) { end in
            done(end.succeeded ? line(of: response) : nil)
        }
    }

    /// - Parameter response: `a(ssssuu)` as JSON: what, who, why, mode, user and process of each inhibitor.
    static func line(of response: String) -> String? {
        guard let list = try? JSONDecoder().decode(Response.self, from: Data(response.utf8)),
            let first = list.data.first?.first(where: \.blocksShutdown)
        else { return nil }
        return "Operation inhibited by \"\(first.who)\" (\(first.process)), reason is \"\(first.why)\""
            .sanitized(limit: 300)
    }

    private struct Response: Decodable { var data: [[Inhibitor]] }

    private struct Inhibitor: Decodable {
        let what: String
        let who: String
        let why: String
        let mode: String
        let process: Int

        init(from decoder: any Decoder) throws {
            var fields = try decoder.unkeyedContainer()
            what = try fields.decode(String.self)
            who = try fields.decode(String.self)
            why = try fields.decode(String.self)
            mode = try fields.decode(String.self)
            _ = try fields.decode(Int.self)
            process = try fields.decode(Int.self)
        }

        /// The mode `block-weak` (systemd 257) does not hinder root.
        var blocksShutdown: Bool { mode == "block" && what.split(separator: ":").contains("shutdown") }
    }
}
