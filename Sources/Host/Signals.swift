import CHost
import Glibc

/// Signals as something to read (signalfd(2)): they interrupt nothing. The descriptor is readable once one has come.
public final class Signals: Sendable {
    /// Valid as long as this object lives.
    public let descriptor: CInt

    /// From here on these signals do nothing by themselves. To be made before there are other threads.
    public init(_ numbers: [CInt]) throws(SystemError) {
        descriptor = upgradelink_watch_signals(numbers, Int32(numbers.count))
        guard descriptor >= 0 else { throw SystemError("watch", "signals") }
    }

    deinit { close(descriptor) }

    /// A signal that has come, or nil.
    public func next() -> CInt? {
        let number = upgradelink_next_signal(descriptor)
        return number > 0 ? number : nil
    }
}
