import Glibc

/// Works on bytes on a thread of its own, in their order, while its caller gets the next ones.
public final class BytePipeline {
    /// Bytes that are given to the thread at a time.
    private static let size = 256 * 1024
    /// Parts that may wait, including the one that is worked on.
    private static let depth = 4

    private let queue: PartQueue
    private var next: [UInt8] = []

    /// - Parameter work: called on the thread.
    public init(_ work: @escaping @Sendable (RawSpan) -> Void) {
        let queue = PartQueue(Self.depth)
        self.queue = queue
        Thread.start {
            var part = queue.take(after: nil)
            while let current = part {
                work(current.span.bytes)
                part = queue.take(after: current)
            }
        }
    }

    deinit {
        finish()
        // An empty part ends the thread.
        _ = queue.put([])
    }

    /// Copies bytes for the thread. It waits while too many are there.
    public func add(_ bytes: RawSpan) {
        var rest = bytes
        while rest.byteCount > 0 {
            if next.capacity < Self.size { next.reserveCapacity(Self.size) }
            let count = min(rest.byteCount, Self.size - next.count)
            rest.extracting(first: count).withUnsafeBytes { next.append(contentsOf: $0) }
            rest = rest.extracting(droppingFirst: count)
            if next.count == Self.size { hand() }
        }
    }

    private func hand() { next = queue.put(next) }

    /// Waits until all bytes have been worked on.
    public func finish() {
        if !next.isEmpty { hand() }
        queue.drain()
    }
}

/// Parts that one thread puts and another one takes (pthread_cond_wait(3)).
///
/// Two threads must wait for each other, which Swift's Mutex cannot do.
// Only `init` and `deinit`, which have no second thread, do not lock it.
private final class PartQueue: @unchecked Sendable {  // Unchecked because every function locks `mutex` first.
    private let depth: Int
    private var parts: [[UInt8]] = []
    /// The parts that wait, and the one that is worked on.
    private var unfinished = 0
    /// Parts that are finished: new memory for each would be cleared by the kernel each time.
    private var spare: [[UInt8]] = []
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let change = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(_ depth: Int) {
        self.depth = depth
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(change, nil)
    }

    deinit {
        pthread_cond_destroy(change)
        pthread_mutex_destroy(mutex)
        change.deallocate()
        mutex.deallocate()
    }

    /// Waits while there are too many.
    ///
    /// - Returns: an empty part to fill.
    func put(_ part: consuming [UInt8]) -> [UInt8] {
        pthread_mutex_lock(mutex)
        while unfinished == depth { pthread_cond_wait(change, mutex) }
        parts.append(part)
        unfinished += 1
        var next = spare.popLast() ?? []
        pthread_cond_broadcast(change)
        pthread_mutex_unlock(mutex)
        next.removeAll(keepingCapacity: true)
        return next
    }

    /// Waits for the next part.
    ///
    /// - Parameter finished: the part before.
    /// - Returns: nil for an empty part.
    func take(after finished: consuming [UInt8]?) -> [UInt8]? {
        pthread_mutex_lock(mutex)
        if let finished {
            unfinished -= 1
            spare.append(finished)
        }
        pthread_cond_broadcast(change)
        while parts.isEmpty { pthread_cond_wait(change, mutex) }
        let part = parts.removeFirst()
        pthread_mutex_unlock(mutex)
        return part.isEmpty ? nil : part
    }

    /// Waits until all are finished.
    func drain() {
        pthread_mutex_lock(mutex)
        while unfinished > 0 { pthread_cond_wait(change, mutex) }
        pthread_mutex_unlock(mutex)
    }
}
