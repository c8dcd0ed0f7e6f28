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
        let bounded = min(max(seconds, 0), 1e9)
        source.schedule(deadline: .now() + .nanoseconds(Int(bounded * 1e9)), leeway: .milliseconds(1))
    }

    /// Removes the schedule; the timer can be scheduled again.
    public func disarm() { source.schedule(deadline: .distantFuture) }

    /// Ends the timer, which releases its handler and the objects that it holds.
    public func cancel() { source.cancel() }
}

/// Watches a descriptor, and releases it after its last source has ended (dispatch_source_set_cancel_handler(3)).
@MainActor public final class DescriptorWatch {
    private let descriptor: CInt
    private let release: @MainActor () -> Void
    private var reading: (any DispatchSourceRead)?
    private var writing: (any DispatchSourceWrite)?
    /// Sources whose cancel handlers have not run yet.
    private var sources = 0
    private var isCancelled = false

    /// - Parameter release: called once, after ``cancel()``, when the descriptor may be closed.
    public init(_ descriptor: CInt, release: @escaping @MainActor () -> Void) {
        self.descriptor = descriptor
        self.release = release
    }

    /// Calls the handler when the descriptor has input or is at its end; nil stops that. After a hang-up there may be one call
    /// only: the handler reads everything that is there.
    public func whenReadable(_ handler: (@MainActor () -> Void)?) {
        reading?.cancel()
        reading = nil
        guard let handler, !isCancelled else { return }
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .main)
        activate(source, handler)
        reading = source
    }

    /// Calls the handler repeatedly while the descriptor can be written to; nil stops that.
    public func whenWritable(_ handler: (@MainActor () -> Void)?) {
        writing?.cancel()
        writing = nil
        guard let handler, !isCancelled else { return }
        let source = DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: .main)
        activate(source, handler)
        writing = source
    }

    public var isWatchingForWriting: Bool { writing != nil }

    /// Stops all handlers. A second call does nothing.
    public func cancel() {
        guard !isCancelled else { return }
        isCancelled = true
        reading?.cancel()
        writing?.cancel()
        (reading, writing) = (nil, nil)
        if sources == 0 { release() }
    }

    private func activate(_ source: any DispatchSourceProtocol, _ handler: @escaping @MainActor () -> Void) {
        sources += 1
        source.setEventHandler(handler: onMainQueue { [weak self] in if self?.isCancelled == false { handler() } })
        // The strong reference keeps this object alive until the descriptor is released.
        source.setCancelHandler(handler: onMainQueue { self.sourceEnded() })
        source.activate()
    }

    private func sourceEnded() {
        sources -= 1
        if sources == 0, isCancelled { release() }
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
            _ = read(descriptor, &expirations, MemoryLayout.size(ofValue: expirations))
            _ = upgradelink_arm_clock_watch(descriptor)
            handler()
        }
        self.watch = watch
    }
}
