import Host
import Systemd
import UpdateCore

/// A connection to the system bus that the main queue serves.
final class BusConnection {
    let bus: Bus
    private var watch: DescriptorWatch?
    private var timer: Timer?
    private var stallCheck: Timer?
    private let onLoss: (BusError) -> Void
    private var isProcessing = false
    /// The bytes that the bus had not read at the last check; nil if there was nothing to send.
    private var unreadOutput: Int?
    private var stalledChecks = 0

    /// The number of messages that are handled before other events get their turn.
    private static let turn = 16
    /// The bus is lost if it reads nothing during this number of checks, one a second.
    private static let maximumStalledChecks = 3

    /// - Parameters:
    ///   - acceptsDescriptors: see ``Bus``.
    ///   - onLoss: called at most once, when the connection has ended by itself.
    init(acceptsDescriptors: Bool, onLoss: @escaping (BusError) -> Void) throws(BusError) {
        bus = try Bus(acceptsDescriptors: acceptsDescriptors)
        self.onLoss = onLoss
        timer = Timer { [weak self] in self?.process() }
        stallCheck = Timer { [weak self] in self?.checkProgress() }
        // The bus closes its descriptor itself, so it must live until no source watches the descriptor.
        let watch = DescriptorWatch(bus.descriptor, release: { [bus] in withExtendedLifetime(bus) {} })
        watch.whenReadable { [weak self] in self?.process() }
        self.watch = watch
    }

    /// Ends the connection: calls without a reply fail.
    func close() {
        guard let watch else { return }
        self.watch = nil
        watch.cancel()
        timer?.cancel()
        stallCheck?.cancel()
        bus.close()
    }

    /// Sends queued messages after the other events that wait now.
    func flush() { if watch != nil { timer?.schedule(after: 0) } }

    func process() {
        guard watch != nil, !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        do throws(BusError) {
            var mayHaveMore = true
            // While the bus reads no replies, no calls are taken: the replies would need more and more memory.
            for _ in 0..<Self.turn where mayHaveMore && !(bus.hasOutput && !bus.canSend) {
                mayHaveMore = try bus.process(atMost: 1)
                guard watch != nil else { return }
            }
            let isBlocked = bus.hasOutput
            watchForOutput(isBlocked)
            if let timeout = mayHaveMore && !isBlocked ? 0 : bus.timeout { timer?.schedule(after: timeout) }
        } catch {
            lost(error)
        }
    }

    private func lost(_ error: BusError) {
        guard watch != nil else { return }
        close()
        onLoss(error)
    }

    private func watchForOutput(_ isWanted: Bool) {
        guard let watch, watch.isWatchingForWriting != isWanted else { return }
        if isWanted {
            watch.whenReadable(nil)
            watch.whenWritable { [weak self] in self?.process() }
            unreadOutput = nil
            stalledChecks = 0
            stallCheck?.schedule(after: 1)
        } else {
            watch.whenWritable(nil)
            watch.whenReadable { [weak self] in self?.process() }
            stallCheck?.disarm()
        }
    }

    /// dbus-daemon stops reading from a connection whose messages it cannot deliver. That would end only when the receiver
    /// reads, or never.
    private func checkProgress() {
        guard watch?.isWatchingForWriting == true else { return }
        let unread = bus.unreadOutput
        stalledChecks = unread == unreadOutput ? stalledChecks + 1 : 0
        unreadOutput = unread
        if stalledChecks >= Self.maximumStalledChecks {
            return lost(BusError("org.freedesktop.DBus.Error.Timeout", "the bus does not read"))
        }
        stallCheck?.schedule(after: 1)
    }
}
