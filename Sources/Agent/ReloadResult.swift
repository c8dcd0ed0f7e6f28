import Glibc
import Host
public import UpdateCore

/// How a reload ended: the agent leaves it in its runtime directory for the command that requested the reload (ExecReload=).
/// A signal alone has no result, and the command cannot read the configuration as the agent does: systemd passes the keys for the
/// server to the main process only.
public enum ReloadResult {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Makes the agent reload its configuration, and waits for the result. Runs in the agent's unit, with its environment.
    ///
    /// - Parameter timeLimit: the longest wait for the agent, in seconds. systemd waits longer (TimeoutStartSec=).
    /// - Throws: what is wrong with the configuration, or why there is no result.
    public static func request(_ environment: [String: String], timeLimit: Seconds = 30) throws(Failure) {
        guard let files = ReloadFiles(environment), let process = environment["MAINPID"].flatMap({ pid_t($0) }),
            process > 1
        else {
            throw Failure(description: "--reload is for ExecReload= of the unit; use systemctl reload upgradelinkd")
        }
        let id = String(UInt64.random(in: .min ... .max), radix: 16)
        do throws(SystemError) {
            try Files.replace(files.request, with: Array(id.utf8))
        } catch {
            throw Failure(description: "a reload of the agent cannot be requested: \(error)")
        }
        defer {
            unlink(files.request)
            unlink(files.reply)
        }
        guard kill(process, SIGHUP) == 0 else {
            throw Failure(
                description: "the agent (process \(process)) cannot be signalled: \(SystemError("signal", "it"))")
        }
        let end = Clock.bootTime + timeLimit
        while Clock.bootTime < end {
            // Before the reply is read: the agent may send it and end.
            let mayReply = isRunning(process)
            if let text = files.reply(to: id) {
                if text.isEmpty { return }
                throw Failure(description: "the configuration was not reloaded, the old one stays effective: \(text)")
            }
            guard mayReply else {
                throw Failure(
                    description:
                        "the agent (process \(process)) ended before it had reloaded its configuration: see its log")
            }
            usleep(10_000)
        }
        throw Failure(
            description:
                "the agent has not told within \(describe(timeLimit)) whether it reloaded its configuration: see its "
                + "log, or restart it (systemctl restart upgradelinkd); an agent of 0.1.0 never tells it")
    }

    private static func isRunning(_ process: pid_t) -> Bool {
        guard kill(process, 0) == 0 else { return false }
        // Its parent may not have collected its end yet (proc_pid_stat(5)).
        let status = (try? Files.read("/proc/\(process)/stat", limit: 4096)) ?? []
        return !String(decoding: status, as: UTF8.self).contains(") Z ")
    }
}

/// The reply to the command that requested a reload.
struct ReloadReply {
    private let path: String
    private let id: String

    /// Nil if nothing waits for a reply: the reload was requested by a signal only.
    init?(_ environment: [String: String]) {
        guard let files = ReloadFiles(environment), let id = try? Files.read(files.request, limit: 64), !id.isEmpty
        else { return nil }
        path = files.reply
        self.id = String(decoding: id, as: UTF8.self)
    }

    /// - Parameter error: nil for success.
    func send(_ error: String?) { try? Files.replace(path, with: Array("\(id)\n\(error ?? "")".utf8)) }
}

/// The files of a reload. The request has an ID, and the reply begins with it: a reply to an earlier request, or of another
/// process, is none.
private struct ReloadFiles {
    let request: String
    let reply: String

    /// Nil without a service manager: then there is no directory for them.
    init?(_ environment: [String: String]) {
        guard let directory = environment["RUNTIME_DIRECTORY"]?.split(separator: ":").first else { return nil }
        (request, reply) = ("\(directory)/reload.request", "\(directory)/reload")
    }

    /// The text of the reply to this request; nil if there is none yet.
    func reply(to id: String) -> String? {
        guard let bytes = try? Files.read(reply, limit: 65_536), bytes.starts(with: "\(id)\n".utf8) else { return nil }
        return String(decoding: bytes.dropFirst(id.utf8.count + 1), as: UTF8.self)
    }
}
