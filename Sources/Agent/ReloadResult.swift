import Glibc
import Host
import UpdateCore

/// How a reload ended: the agent leaves it in its runtime directory for the command that requested the reload (ExecReload=).
/// A signal alone has no result, and the command cannot read the configuration as the agent does: systemd passes the keys for the
/// server to the main process only.
public enum ReloadResult {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// The longest wait for the agent, in seconds. systemd waits longer (TimeoutStartSec=).
    private static let timeLimit: Seconds = 30

    /// Leaves a result; nil for success. Without a service manager there is no directory for it.
    static func leave(_ error: String?, _ environment: [String: String]) {
        guard let path = path(environment) else { return }
        try? Files.replace(path, with: Array((error ?? "").utf8))
    }

    /// Makes the agent reload its configuration, and waits for the result. Runs in the agent's unit, with its environment.
    ///
    /// - Throws: what is wrong with the configuration, or why there is no result.
    public static func request(_ environment: [String: String]) throws(Failure) {
        guard let path = path(environment), let process = environment["MAINPID"].flatMap({ pid_t($0) }), process > 1
        else {
            throw Failure(description: "--reload is for ExecReload= of the unit; use systemctl reload upgradelinkd")
        }
        unlink(path)
        guard kill(process, SIGHUP) == 0 else {
            throw Failure(
                description: "the agent (process \(process)) cannot be signalled: \(SystemError("signal", "it"))")
        }
        let end = Clock.bootTime + timeLimit
        while Clock.bootTime < end {
            if let bytes = try? Files.read(path, limit: 65_536) {
                let text = String(decoding: bytes, as: UTF8.self)
                if text.isEmpty { return }
                throw Failure(description: "the configuration was not reloaded, the old one stays effective: \(text)")
            }
            usleep(10_000)
        }
        throw Failure(
            description:
                "the agent has not reloaded its configuration within \(Int(timeLimit)) s: see its log, or restart it")
    }

    private static func path(_ environment: [String: String]) -> String? {
        environment["RUNTIME_DIRECTORY"]?.split(separator: ":").first.map { "\($0)/reload" }
    }
}
