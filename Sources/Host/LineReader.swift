import Dispatch
import Glibc
import Synchronization

/// Reads a pipe or a socket line by line on a queue of its own; longer lines than the limit are cut into pieces.
final class LineReader: Sendable {
    private let descriptor: CInt
    private let limit: Int
    private let queue = DispatchQueue(label: "lines", qos: .default)
    private let source: Mutex<any DispatchSourceRead>
    private let rest = Mutex<[UInt8]>([])
    private let onLine: @Sendable (String) -> Void

    /// - Parameters:
    ///   - descriptor: closed in the end; made not to block.
    ///   - onEnd: once nothing more can come.
    init(
        descriptor: CInt, limit: Int = 4096, onEnd: @escaping @Sendable () -> Void = {},
        _ onLine: @escaping @Sendable (String) -> Void
    ) {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        self.descriptor = descriptor
        self.limit = limit
        self.onLine = onLine
        source = Mutex(DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue))
        source.withLock { source in
            source.setCancelHandler {
                close(descriptor)
                onEnd()
            }
            source.setEventHandler { [weak self] in
                if self?.drain() == false { self?.cancel() }
            }
            source.activate()
        }
    }

    private func cancel() { source.withLock { $0.cancel() } }

    /// Reads a pipe whose other end is for somebody else, who closes it.
    static func pipe(
        _ onLine: @escaping @Sendable (String) -> Void
    ) throws(SystemError) -> (reader: LineReader, writing: CInt) {
        let ends = try Pipe.make()
        return (LineReader(descriptor: ends.reading, onLine), ends.writing)
    }

    /// Takes what is there without waiting for the end.
    func finish() {
        queue.sync {
            if !source.withLock({ $0.isCancelled }) { _ = drain() }
            let last = rest.withLock { rest in
                defer { rest = [] }
                return rest
            }
            if !last.isEmpty { onLine(String(decoding: last, as: UTF8.self)) }
            cancel()
        }
    }

    /// False once the end has come.
    private func drain() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            if count == 0 { return false }
            var lines: [String] = []
            rest.withLock { rest in
                for byte in chunk[..<count] {
                    if byte == 0x0A || rest.count >= limit {
                        lines.append(String(decoding: rest, as: UTF8.self))
                        rest = []
                    }
                    if byte != 0x0A { rest.append(byte) }
                }
            }
            lines.forEach(onLine)
        }
    }
}
