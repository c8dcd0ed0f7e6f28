import CHost
import Dispatch
import Glibc
public import UpdateCore

/// Dispatch's main queue, and the only place where its sources are made.
///
/// Handlers run one after another, on the thread that serves the queue at the time, and a slow handler delays the others. No
/// other queue is used, because the first use of a global queue starts a monitor that wakes up every second, without end.
@MainActor public enum MainQueue {
    /// Serves the queue for the rest of the process's life; `exit(3)` ends it.
    public static func serve() -> Never { dispatchMain() }

    /// Calls the body once, after the current handler has returned.
    public static func soon(_ body: @escaping @MainActor () -> Void) { DispatchQueue.main.async(execute: body) }

    /// Calls the body once, after this time in seconds of CLOCK_MONOTONIC. The call cannot be cancelled.
    public static func after(_ seconds: Seconds, _ body: @escaping @MainActor () -> Void) {
        DispatchQueue.main.asyncAfter(deadline: .now() + seconds, execute: body)
    }

    /// Calls the handler for each of these signals, with the signal's number. They no longer have their default action.
    public static func onSignal(_ numbers: [CInt], _ handler: @escaping @MainActor (CInt) -> Void) {
        for number in numbers {
            let source = DispatchSource.makeSignalSource(signal: number, queue: .main)
            source.setEventHandler(handler: onMainQueue { handler(number) })
            // A child may have ended before the source was registered: the handler then looks for ended children itself.
            source.setRegistrationHandler(handler: onMainQueue { if number == SIGCHLD { handler(number) } })
            source.activate()
            signalSources.append(source)
        }
    }

    private static var signalSources: [any DispatchSourceSignal] = []
}

/// Dispatch calls the handlers of all sources below on the main queue.
private func onMainQueue(_ body: @escaping @MainActor () -> Void) -> @Sendable () -> Void {
    { MainActor.assumeIsolated(body) }
}

/// Calls a handler once each time it is scheduled. It counts CLOCK_MONOTONIC, which stops in standby: its user schedules a
/// moment of CLOCK_BOOTTIME again after a resume (``ClockWatch``).
@MainActor public final class Timer {
    private let source: any DispatchSourceTimer

    /// A timer that is not scheduled yet.
    public init(_ handler: @escaping @MainActor () -> Void) {
        source = DispatchSource.makeTimerSource(queue: .main)
        source.setEventHandler(handler: onMainQueue(handler))
        source.schedule(deadline: .distantFuture)
        source.activate()
    }

    /// A timer that is scheduled for this time from now, in seconds.
    public convenience init(after seconds: Seconds, _ handler: @escaping @MainActor () -> Void) {
        self.init(handler)
        schedule(after: seconds)
    }

    /// Schedules the handler for this time from now, in seconds; a negative time is now. Replaces an earlier schedule.
    public func schedule(after seconds: Seconds) {
        // Dispatch counts nanoseconds in 64 bits: 30 years are enough.
        source.schedule(deadline: .now() + min(max(seconds, 0), 1e9), leeway: .milliseconds(1))
    }

    /// Removes the schedule; the timer can be scheduled again.
    public func disarm() { source.schedule(deadline: .distantFuture) }

    /// Ends the timer, which releases its handler and the objects that it holds.
    public func cancel() { source.cancel() }
}

/// Watches a descriptor, and releases it after its source has ended (dispatch_source_set_cancel_handler(3)).
///
/// Dispatch for Linux must not see a hang-up: it then unregisters the source on the main thread, without a lock, while its
/// manager thread still uses the same memory (event_epoll.c, `_dispatch_event_merge_hangup`). Processes crashed, and other
/// descriptors were no longer watched. So the source watches an epoll(7) descriptor that contains the watched one: that is
/// readable after a hang-up, as often as it is asked, but never hung up itself.
@MainActor public final class DescriptorWatch {
    private let descriptor: CInt
    private let readiness: CInt
    private let release: @MainActor () -> Void
    private var source: (any DispatchSourceRead)?
    private var onReadable: (@MainActor () -> Void)?
    private var onWritable: (@MainActor () -> Void)?
    private var isAsking = false
    private var isCancelled = false

    /// The seconds between two calls of the handlers for a descriptor that the kernel does not watch.
    private static let askInterval: Seconds = 0.01

    /// - Parameter release: called once, after ``cancel()``, when the descriptor may be closed.
    public init(_ descriptor: CInt, release: @escaping @MainActor () -> Void) {
        self.descriptor = descriptor
        self.release = release
        readiness = upgradelink_readiness()
        guard readiness >= 0 else { return }
        let source = DispatchSource.makeReadSource(fileDescriptor: readiness, queue: .main)
        source.setEventHandler(handler: onMainQueue { [weak self] in self?.callHandlers() })
        // The strong reference keeps this object alive until the descriptor is released.
        source.setCancelHandler(handler: onMainQueue { self.end() })
        source.activate()
        self.source = source
    }

    /// Calls the handler repeatedly while the descriptor has input or is at its end; nil stops that.
    public func whenReadable(_ handler: (@MainActor () -> Void)?) {
        onReadable = handler
        update()
    }

    /// Calls the handler repeatedly while the descriptor can be written to; nil stops that.
    public func whenWritable(_ handler: (@MainActor () -> Void)?) {
        onWritable = handler
        update()
    }

    public var isWatchingForWriting: Bool { onWritable != nil }

    /// Stops all handlers. A second call does nothing.
    public func cancel() {
        guard !isCancelled else { return }
        isCancelled = true
        (onReadable, onWritable) = (nil, nil)
        if let source { source.cancel() } else { end() }
    }

    private func update() {
        guard !isCancelled else { return (onReadable, onWritable) = (nil, nil) }
        let watched = upgradelink_watch(readiness, descriptor, onReadable == nil ? 0 : 1, onWritable == nil ? 0 : 1)
        // A file is always ready, and cannot be watched (epoll_ctl(2), EPERM). Asking is also what is left without descriptors
        // or memory for a watch.
        if watched < 0, onReadable != nil || onWritable != nil { askRegularly() }
    }

    private func askRegularly() {
        guard !isAsking else { return }
        isAsking = true
        MainQueue.after(Self.askInterval) { [weak self] in
            guard let self else { return }
            isAsking = false
            onReadable?()
            onWritable?()
            update()
        }
    }

    private func callHandlers() {
        let ready = upgradelink_ready(readiness)
        if ready & 1 != 0 { onReadable?() }
        if ready & 2 != 0 { onWritable?() }
    }

    private func end() {
        source = nil
        close(readiness)
        release()
    }
}

/// Calls a handler after the wall clock was set or the device resumed from standby: the kernel cancels a timer in both cases
/// (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
@MainActor public final class ClockWatch {
    private let watch: DescriptorWatch

    public init(_ handler: @escaping @MainActor () -> Void) throws(SystemError) {
        let descriptor = upgradelink_clock_watch()
        guard descriptor >= 0 else { throw SystemError("watch", "the clock") }
        _ = upgradelink_arm_clock_watch(descriptor)
        let watch = DescriptorWatch(descriptor, release: { close(descriptor) })
        watch.whenReadable {
            var expirations: UInt64 = 0
            // ECANCELED tells of a change.
            if read(descriptor, &expirations, MemoryLayout.size(ofValue: expirations)) < 0, errno == EAGAIN { return }
            _ = upgradelink_arm_clock_watch(descriptor)
            handler()
        }
        self.watch = watch
    }
}
