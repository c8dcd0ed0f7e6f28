import CHost
import Glibc

/// Starts a process with nothing of this one's but its environment and standard error: no open descriptors, no blocked or
/// ignored signals, a process group of its own (posix_spawn(3)).
enum ChildProcess {
    /// Above what a child is given, so that giving it does not close what is still to be given.
    private static let aboveGiven: CInt = 32

    /// - Parameter descriptors: become 0, 1, then 3 and so on in the child; they stay open here.
    static func spawn(
        _ path: String, _ arguments: [String], input: CInt, output: CInt, descriptors: [CInt] = []
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var copies: [CInt] = []
        defer { copies.forEach { close($0) } }
        let targets: [CInt] = [STDIN_FILENO, STDOUT_FILENO] + descriptors.indices.map { 3 + CInt($0) }
        for (source, target) in zip([input, output] + descriptors, targets) {
            let copy = fcntl(source, F_DUPFD_CLOEXEC, aboveGiven)
            guard copy >= 0 else { throw SystemError("start", path) }
            copies.append(copy)
            posix_spawn_file_actions_adddup2(&actions, copy, target)
        }
        _ = upgradelink_close_from(&actions, 3 + CInt(descriptors.count))

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        defer { words.forEach { free($0) } }
        words.append(nil)
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, &attributes, words, environ)
        guard error == 0 else { throw SystemError("start", path, code: error) }
        return pid
    }

    /// How the process ended, or nil while it has not.
    static func collect(_ pid: pid_t) -> ProcessEnd? {
        var status: CInt = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        // WIFEXITED and its like are macros (wait(2)): the low seven bits are the signal, the next byte is the exit status.
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }
}
