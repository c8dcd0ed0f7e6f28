import ArgumentParser
import Glibc
import Host

/// `upgradelinkd`, the agent.
public enum DaemonProgram {
    public static func main() -> Never {
        Signals.ignore(SIGPIPE)
        umask(0o077)
        let command = Command.parseOrExit()
        // At this point the process has only its main thread.
        MainActor.assumeIsolated { Service.run(command) }
    }
}
