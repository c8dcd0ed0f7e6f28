import Glibc

/// Signals without a handler; ``MainQueue/onSignal(_:_:)`` sets a handler.
public enum Signals {
    /// Ignores these signals in the whole process.
    public static func ignore(_ numbers: CInt...) { numbers.forEach { signal($0, SIG_IGN) } }
}
