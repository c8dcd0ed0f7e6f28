import Glibc
import Host

/// A thread for a function that blocks or takes long: Swift tasks share a few threads, and the tests' servers need those.
public enum OwnThread {
    /// Runs a function that blocks.
    public static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in Thread.start { continuation.resume(returning: body()) } }
    }

    /// Runs a long computation with the lowest priority, because other tests have real time limits.
    public static func compute<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.start {
                // This applies to this thread only (setpriority(2), "C library/kernel differences").
                setpriority(CInt(PRIO_PROCESS.rawValue), 0, 19)
                continuation.resume(with: Result { try body() })
            }
        }
    }
}
