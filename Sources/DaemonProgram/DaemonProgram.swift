import ArgumentParser
import DeviceChecks
import Glibc
import Host
import UpdateCore

/// `upgradelinkd`, the agent.
public enum DaemonProgram {
    public static func main() -> Never {
        Signals.ignore(SIGPIPE)
        umask(0o077)
        AgentRights.runIfRequested()
        let command = parse()
        // At this point the process has only its main thread.
        MainActor.assumeIsolated { Service.run(command) }
    }

    /// Ends the process if there is nothing to run: after `--help`, or with an error. That quotes the arguments, which must not
    /// begin lines of their own in the journal.
    private static func parse() -> Command {
        do {
            return try Command.parse()
        } catch {
            let status = Command.exitCode(for: error)
            if status == .success { print(Command.fullMessage(for: error)) }
            let message = Command.message(for: error).sanitized(limit: 1000)
            if status != .success { Environment.printError("upgradelinkd: \(message); see --help") }
            exit(status.rawValue)
        }
    }
}
