import Glibc
import Host
import UpdateCore

/// Holds bytes back to a speed, evenly. libcurl's own limit (CURLOPT_MAX_RECV_SPEED_LARGE) looks between its turns only, in
/// each of which version 7.88 reads up to a hundred buffers: a slow download would come in bursts, seconds apart.
struct Pace {
    /// The moment at which what has come so far is due.
    private var due = BootInstant(0)

    private static let nap: Seconds = 0.1

    /// How many bytes are taken at once, so that ten pieces come in a second.
    static func piece(of limit: Int) -> Int { limit > 0 ? max(limit / 10, 256) : .max }

    /// Waits as long as the bytes are early.
    ///
    /// - Parameter isWanted: asked in between; waiting ends as soon as it says no, or the limit is lifted.
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
