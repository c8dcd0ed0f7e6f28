import Glibc

/// A thread for what blocks, or takes long: those of tasks are few, and the tests' servers answer on them.
public enum OwnThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Waits for what is long and does not wait itself.
    public static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in start { continuation.resume(returning: body()) } }
    }

    /// Waits for what computes for long, after everything else on this machine: other tests have time limits that are real.
    public static func compute<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            start {
                // Of this thread alone (setpriority(2), "C library/kernel differences").
                setpriority(CInt(PRIO_PROCESS.rawValue), 0, 19)
                continuation.resume(with: Result { try body() })
            }
        }
    }

    static func start(_ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 4 << 20)
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Body(body)).toOpaque()
        let error = pthread_create(
            &thread, &attributes,
            { context in
                // What was retained above.
                if let context { Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context)
        precondition(error == 0, "no thread can be made: \(String(cString: strerror(error)))")
    }
}
