import ArgumentParser
import Dispatch
import Glibc
import Host
import Synchronization

/// A signal that ends the program in the middle of its work: it ends its child processes, and then the work cleans up.
final class Interruption: Sendable {
    private let received = Mutex<CInt?>(nil)
    /// A program that asks for a password cannot switch the echo on again if a signal ends it.
    private let terminal: termios?

    /// SIGPIPE is ignored: the work is completed even if its output is not read.
    init() {
        var attributes = termios()
        terminal = tcgetattr(STDIN_FILENO, &attributes) == 0 ? attributes : nil
        Signals.ignore(SIGPIPE)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var old = sigaction()
            // nohup(1) lets a program ignore the signal.
            if number == SIGHUP, sigaction(number, nil, &old) == 0, isIgnored(old) { continue }
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                _ = source
                let isFirst = received.withLock { received in
                    defer { received = received ?? number }
                    return received == nil
                }
                if isFirst { endChildren() }
            }
            source.activate()
        }
    }

    /// - Throws: the exit status 128 plus the signal's number, if there was a signal.
    func check() throws {
        guard let number = received.withLock({ $0 }) else { return }
        // Another process may use the terminal if this one is in the background.
        if var terminal, tcgetpgrp(STDIN_FILENO) == getpgrp() { tcsetattr(STDIN_FILENO, TCSANOW, &terminal) }
        throw ExitCode(128 + number)
    }

    /// Until this process has ended: it may be about to start another child.
    private func endChildren() -> Never {
        while true {
            for child in Self.children() { kill(child, SIGTERM) }
            usleep(20_000)
        }
    }

    /// As proc_pid_stat(5) says.
    private static func children() -> [pid_t] {
        ((try? Files.list("/proc")) ?? []).compactMap { pid_t($0) }.filter { pid in
            guard let bytes = try? Files.read("/proc/\(pid)/stat", limit: 65_536),
                // The name in parentheses may contain anything, other parentheses too.
                let end = bytes.lastIndex(of: UInt8(ascii: ")"))
            else { return false }
            let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
            return fields.count > 1 && pid_t(fields[1]) == getpid()
        }
    }
}

private func isIgnored(_ action: sigaction) -> Bool {
    unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}
