import Glibc

/// What a process does about signals that have no handler (``MainQueue/onSignal(_:_:)``).
public enum Signals {
    public static func ignore(_ numbers: CInt...) { numbers.forEach { signal($0, SIG_IGN) } }
}
