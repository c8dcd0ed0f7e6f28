import Glibc

/// Signals without a handler; ``MainQueue/onSignal(_:_:)`` sets a handler.
public enum Signals {
    /// Ignores these signals in the whole process.
    public static func ignore(_ numbers: CInt...) { numbers.forEach { signal($0, SIG_IGN) } }

    /// Ends this process by a signal, as if it had no handler: the parent sees that it was requested.
    public static func end(by number: CInt) -> Never {
        signal(number, SIG_DFL)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        kill(getpid(), number)
        // The signal may be delivered to another thread.
        while true { pause() }
    }
}
