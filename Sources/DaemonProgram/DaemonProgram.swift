import ArgumentParser
import Glibc
import Host

/// `upgradelinkd`, the agent.
public enum DaemonProgram {
    public static func main() -> Never {
        Signals.ignore(SIGPIPE)
        umask(0o077)
        let command = parse()
        // At this point the process has only its main thread.
        MainActor.assumeIsolated { Service.run(command) }
    }

    /// Ends the process if there is nothing to run: after `--help`, or with an error, which quotes the arguments.
    private static func parse() -> Command {
        do {
            return try Command.parse()
        } catch {
            let status = Command.exitCode(for: error)
            let text = Command.fullMessage(for: error)
            if status == .success { print(text) } else { Environment.printErrors(text) }
            exit(status.rawValue)
        }
    }
}
