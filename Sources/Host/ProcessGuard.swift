import Dispatch
import Glibc

/// What every worker process does about its parent and its signals.
public enum ProcessGuard {
    /// A reader that went away is an error to be handled, not a signal to die of.
    public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// Calls `action` once standard input ends or SIGTERM comes: whoever started this worker is gone, or wants it gone.
    public static func onAbandoned(_ action: @escaping @Sendable () -> Void) {
        signal(SIGTERM, SIG_IGN)
        let queue = DispatchQueue(label: "abandoned")
        let termination = DispatchSource.makeSignalSource(signal: SIGTERM, queue: queue)
        termination.setEventHandler(handler: action)
        termination.activate()
        let input = DispatchSource.makeReadSource(fileDescriptor: STDIN_FILENO, queue: queue)
        input.setEventHandler {
            var byte: UInt8 = 0
            // Bytes after the request are not expected and are dropped.
            if read(STDIN_FILENO, &byte, 1) <= 0 {
                input.cancel()
                termination.cancel()
                action()
            }
        }
        input.activate()
    }
}
