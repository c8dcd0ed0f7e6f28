import Glibc
import Host

/// A thread for what blocks, or takes long: those of tasks are few, and the tests' servers answer on them.
public enum OwnThread {
    /// Waits for what is long and does not wait itself.
    public static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in Thread.start { continuation.resume(returning: body()) } }
    }

    /// Waits for what computes for long, after everything else on this machine: other tests have time limits that are real.
    public static func compute<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.start {
                // Of this thread alone (setpriority(2), "C library/kernel differences").
                setpriority(CInt(PRIO_PROCESS.rawValue), 0, 19)
                continuation.resume(with: Result { try body() })
            }
        }
    }
}
