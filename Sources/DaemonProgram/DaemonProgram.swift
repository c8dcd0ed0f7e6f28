import ArgumentParser
import Glibc
import Host

/// `upgradelinkd`, the agent.
public enum DaemonProgram {
    public static func main() -> Never {
        Signals.ignore(SIGPIPE)
        umask(0o077)
        let command = Command.parseOrExit()
        // The process has one thread yet, and it is the main one.
        MainActor.assumeIsolated { Service.run(command) }
    }
}
