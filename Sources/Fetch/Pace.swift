import Glibc
import Host
import UpdateCore

/// Limits the speed of a download evenly. libcurl checks its own limit (CURLOPT_MAX_RECV_SPEED_LARGE) only after up to a
/// hundred buffers (version 7.88), so that a slow download would come in bursts, seconds apart.
struct Pace {
    /// The time at which the bytes received so far are due.
    private var due = BootInstant(0)

    /// The longest time between two checks of the limit and of `isWanted`.
    private static let nap: Seconds = 0.1

    /// Bytes of one piece: a tenth of a second's bytes, at least 256.
    static func piece(of limit: ByteCount) -> Int { limit > 0 ? Int(clamping: max(limit / 10, 256)) : .max }

    /// Waits until the bytes are due.
    ///
    /// - Parameter isWanted: called repeatedly; the wait ends if it returns false or the limit is removed.
    mutating func wait(for bytes: Int, _ limit: SpeedLimit, isWanted: () -> Bool) {
        let now = Clock.bootTime
        let speed = limit.bytesPerSecond
        guard speed > 0 else { return due = now }
        due = max(due, now) + Seconds(bytes) / Seconds(speed)
        while limit.bytesPerSecond > 0, isWanted() {
            let left: Seconds = due - Clock.bootTime
            guard left > 0 else { return }
            usleep(useconds_t(min(left, Self.nap) * 1e6))
        }
    }
}
