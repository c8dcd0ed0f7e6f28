import Glibc
public import UpdateCore

/// Waits for descriptors and for moments of CLOCK_BOOTTIME, and calls whoever wants to know (poll(2)): one after another, on
/// the thread that runs it. A handler that takes long keeps the others waiting.
///
/// It has no threads and no wake-ups of its own, which the queues of libdispatch have.
public final class EventLoop {
    /// A descriptor that is watched until it is no more.
    public final class Watch {
        fileprivate let descriptor: CInt
        fileprivate private(set) var handler: (() -> Void)?
        public var wantsInput = true
        public var wantsOutput = false

        fileprivate init(_ descriptor: CInt, _ handler: @escaping () -> Void) {
            self.descriptor = descriptor
            self.handler = handler
        }

        /// The descriptor may be closed from here on.
        public func cancel() { handler = nil }

        fileprivate var events: Int16 { Int16((wantsInput ? POLLIN : 0) | (wantsOutput ? POLLOUT : 0)) }
    }

    /// A moment to be called at, once; standby does not hold it up.
    public final class Timer {
        fileprivate private(set) var handler: (() -> Void)?
        /// Nil: never. Set it again for another call.
        public var moment: BootInstant?

        fileprivate init(_ handler: @escaping () -> Void) { self.handler = handler }

        public func fire(after seconds: Seconds) { moment = Clock.bootTime + seconds }

        /// It never calls again.
        public func cancel() {
            handler = nil
            moment = nil
        }
    }

    private var watches: [Watch] = []
    private var timers: [Timer] = []
    private let alarm: WakeUpTimer
    private var armedFor: BootInstant?

    public init() throws(SystemError) { alarm = try WakeUpTimer() }

    /// Calls the handler while there is something to read, an end, or, where that is wanted, room to write.
    public func watch(_ descriptor: CInt, _ handler: @escaping () -> Void) -> Watch {
        let watch = Watch(descriptor, handler)
        watches.append(watch)
        return watch
    }

    /// A timer that is not armed yet.
    public func timer(_ handler: @escaping () -> Void) -> Timer {
        let timer = Timer(handler)
        timers.append(timer)
        return timer
    }

    /// Calls the handler once, after what is being done now.
    public func soon(_ handler: @escaping () -> Void) { after(0, handler) }

    /// Calls the handler once.
    @discardableResult
    public func after(_ seconds: Seconds, _ handler: @escaping () -> Void) -> Timer {
        var itself: Timer?
        let timer = timer {
            itself?.cancel()
            itself = nil
            handler()
        }
        itself = timer
        timer.fire(after: seconds)
        return timer
    }

    /// Goes on for as long as somebody wants it to.
    public func run(while isWanted: () -> Bool) {
        while isWanted() { turn() }
    }

    private func turn() {
        watches.removeAll { $0.handler == nil }
        timers.removeAll { $0.handler == nil }
        if let next = timers.lazy.compactMap(\.moment).min(), next != armedFor {
            alarm.arm(at: next)
            armedFor = next
        }
        // What a handler adds has its turn next time.
        let (watched, timed) = (watches, timers)
        var polled = [pollfd(fd: alarm.descriptor, events: Int16(POLLIN), revents: 0)]
        polled += watched.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
        guard poll(&polled, nfds_t(polled.count), -1) > 0 else { return }
        if polled[0].revents != 0 {
            alarm.acknowledge()
            armedFor = nil
        }
        let now = Clock.bootTime
        for timer in timed {
            guard let moment = timer.moment, moment <= now else { continue }
            timer.moment = nil
            timer.handler?()
        }
        for (watch, result) in zip(watched, polled.dropFirst()) where result.revents != 0 {
            watch.handler?()
        }
    }
}
