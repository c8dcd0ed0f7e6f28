import CHost
import Dispatch
import Glibc
public import UpdateCore

/// Dispatch's main queue, and the only place where its sources are made.
///
/// Handlers run one after another, on whichever thread serves the queue; a handler that takes long delays the others. No
/// other queue is used: the first use of a global queue starts a monitor that wakes up once a second for ever.
@MainActor public enum MainQueue {
    /// Serves the queue for the rest of the process's life; `exit(3)` ends it.
    public static func serve() -> Never { dispatchMain() }

    /// Calls the body once, after the current handler has returned.
    public static func soon(_ body: @escaping @MainActor () -> Void) { DispatchQueue.main.async(execute: body) }

    /// Calls the body once, after this time of CLOCK_MONOTONIC; it cannot be taken back.
    public static func after(_ seconds: Seconds, _ body: @escaping @MainActor () -> Void) {
        DispatchQueue.main.asyncAfter(deadline: .now() + seconds, execute: body)
    }

    /// Calls the handler for each of these signals, which no longer have their default action.
    public static func onSignal(_ numbers: [CInt], _ handler: @escaping @MainActor (CInt) -> Void) {
        for number in numbers {
            let source = DispatchSource.makeSignalSource(signal: number, queue: .main)
            source.setEventHandler(handler: onMainQueue { handler(number) })
            // A signal that came before the kernel was told is not lost: the handler looks for itself.
            source.setRegistrationHandler(handler: onMainQueue { if number == SIGCHLD { handler(number) } })
            source.activate()
            signalSources.append(source)
        }
    }

    private static var signalSources: [any DispatchSourceSignal] = []
}

/// Every handler of a source below belongs to the main queue.
private func onMainQueue(_ body: @escaping @MainActor () -> Void) -> @Sendable () -> Void {
    { MainActor.assumeIsolated(body) }
}

/// Calls a handler once each time it is scheduled. It counts CLOCK_MONOTONIC, which stops in standby: a moment of
/// CLOCK_BOOTTIME is scheduled again after a resume (``ClockWatch``).
@MainActor public final class Timer {
    private let source: any DispatchSourceTimer

    public init(_ handler: @escaping @MainActor () -> Void) {
        source = DispatchSource.makeTimerSource(queue: .main)
        source.setEventHandler(handler: onMainQueue(handler))
        source.schedule(deadline: .distantFuture)
        source.activate()
    }

    /// A timer that is scheduled already.
    public convenience init(after seconds: Seconds, _ handler: @escaping @MainActor () -> Void) {
        self.init(handler)
        schedule(after: seconds)
    }

    /// Replaces what was scheduled before.
    public func schedule(after seconds: Seconds) {
        // Dispatch counts nanoseconds in 64 bits: 30 years are enough.
        let bounded = min(max(seconds, 0), 1e9)
        source.schedule(deadline: .now() + .nanoseconds(Int(bounded * 1e9)), leeway: .milliseconds(1))
    }

    /// Nothing is scheduled any more.
    public func disarm() { source.schedule(deadline: .distantFuture) }

    /// Ends the timer; it releases its handler, and what that holds.
    public func cancel() { source.cancel() }
}

/// Watches a descriptor, and releases it once no source watches it any more (dispatch_source_set_cancel_handler(3)).
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

    /// Calls the handler while there is something to read, or an end; nil: no longer.
    public func whenReadable(_ handler: (@MainActor () -> Void)?) {
        reading?.cancel()
        reading = nil
        guard let handler, !isCancelled else { return }
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .main)
        activate(source, handler)
        reading = source
    }

    /// Calls the handler while the descriptor can be written to; nil: no longer.
    public func whenWritable(_ handler: (@MainActor () -> Void)?) {
        writing?.cancel()
        writing = nil
        guard let handler, !isCancelled else { return }
        let source = DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: .main)
        activate(source, handler)
        writing = source
    }

    public var isWatchingForWriting: Bool { writing != nil }

    /// No handler is called any more. A second call does nothing.
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
        // Holds this object until the descriptor is released.
        source.setCancelHandler(handler: onMainQueue { self.sourceEnded() })
        source.activate()
    }

    private func sourceEnded() {
        sources -= 1
        if sources == 0, isCancelled { release() }
    }
}

/// Tells that the wall clock was set, or that the device resumed from standby: the kernel cancels a timer for both
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
