import Dispatch
import Glibc
import Synchronization
import UpdateCore

/// What every worker process does about its parent and its signals.
public enum ProcessGuard {
    /// A reader that went away is an error to be handled, not a signal to die of.
    public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// Calls `action` once standard input ends or SIGTERM comes: whoever started this worker is gone, or wants it gone.
    ///
    /// - Parameter onLine: hears each line that follows the request, at most ``maximumMessageBytes`` long.
    public static func onAbandoned(
        onLine: @escaping @Sendable ([UInt8]) -> Void = { _ in }, _ action: @escaping @Sendable () -> Void
    ) {
        signal(SIGTERM, SIG_IGN)
        let queue = DispatchQueue(label: "abandoned", qos: .default)
        let termination = DispatchSource.makeSignalSource(signal: SIGTERM, queue: queue)
        termination.setEventHandler(handler: action)
        termination.activate()
        let input = DispatchSource.makeReadSource(fileDescriptor: STDIN_FILENO, queue: queue)
        let line = Mutex<[UInt8]>([])
        input.setEventHandler {
            var byte: UInt8 = 0
            guard read(STDIN_FILENO, &byte, 1) > 0 else {
                input.cancel()
                termination.cancel()
                return action()
            }
            line.withLock { line in
                if byte == 0x0A {
                    onLine(line)
                    line = []
                } else if line.count < maximumMessageBytes {
                    line.append(byte)
                }
            }
        }
        input.activate()
    }
}
