/// A request to stop, because the system shuts down or the service manager stops the installer. The installation stops before its
/// next step, or in its health check, and is resumed later as if nothing had happened.
@MainActor public final class StopRequest {
    public private(set) var isMade = false
    private var handler: (@MainActor () -> Void)?

    public init() {}

    public func make() {
        isMade = true
        let handler = handler
        self.handler = nil
        handler?()
    }

    /// Calls the body if the request is made before ``clear()``.
    public func whenMade(_ body: @escaping @MainActor () -> Void) { handler = body }

    public func clear() { handler = nil }

    /// How a request to the installer ends then.
    public struct Stopped: Error, CustomStringConvertible {
        public var description = "it was told to stop, and resumes later, at the latest after the next boot"
    }
}
