import Host
import UpdateCore

/// Turns byte counts into progress reports: at most two per second, with the speed of the last few seconds.
struct ProgressMeter {
    private var lastTime: BootInstant
    private var lastReceived: ByteCount
    private var rate: Double?

    init(received: ByteCount, now: BootInstant = Clock.bootTime) {
        lastTime = now
        lastReceived = received
    }

    mutating func update(
        received: ByteCount, total: ByteCount, now: BootInstant = Clock.bootTime
    ) -> DownloadProgress? {
        let elapsed = now - lastTime
        guard elapsed >= 0.5 else { return nil }
        // The count falls when a download starts over.
        let speed = Double(max(received - lastReceived, 0)) / elapsed
        rate = rate.map { $0 * 0.7 + speed * 0.3 } ?? speed
        lastTime = now
        lastReceived = received
        return DownloadProgress(received: received, total: total, rate: ByteCount(cut: rate ?? 0))
    }

    /// The last report; it does not wait for its half second.
    mutating func finish(received: ByteCount, total: ByteCount) -> DownloadProgress? {
        let elapsed = max(Clock.bootTime - lastTime, 0.001)
        let speed = rate ?? Double(max(received - lastReceived, 0)) / elapsed
        return DownloadProgress(received: received, total: max(total, received), rate: ByteCount(cut: speed))
    }
}
