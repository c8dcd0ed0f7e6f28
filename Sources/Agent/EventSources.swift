import Dispatch
import Glibc

/// The one place that makes Dispatch sources: all on the main queue, so that their handlers run where the agent lives.
///
/// A handler written elsewhere and given to a source on another queue would compile, and trap when called.
enum EventSources {
    /// A timer that is not armed yet.
    static func timer(_ handler: @escaping @MainActor () -> Void) -> any DispatchSourceTimer {
        let source = DispatchSource.makeTimerSource(queue: .main)
        source.setEventHandler { MainActor.assumeIsolated(handler) }
        source.activate()
        return source
    }

    /// Calls the handler while there is something to read, or an end.
    ///
    /// - Parameter onCancel: the descriptor must not be closed before this is called, which is where to do so.
    static func readable(
        _ descriptor: CInt, onCancel: @escaping @MainActor () -> Void, _ handler: @escaping @MainActor () -> Void
    ) -> any DispatchSourceRead {
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .main)
        source.setCancelHandler { MainActor.assumeIsolated(onCancel) }
        source.setEventHandler { MainActor.assumeIsolated(handler) }
        source.activate()
        return source
    }

    /// Calls the handler instead of what the signal does by default.
    static func signal(_ number: CInt, _ handler: @escaping @MainActor () -> Void) -> any DispatchSourceSignal {
        Glibc.signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .main)
        source.setEventHandler { MainActor.assumeIsolated(handler) }
        source.activate()
        return source
    }
}
