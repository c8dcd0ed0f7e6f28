import Host
import Systemd
import UpdateCore

/// A connection to the system bus that the main queue serves.
final class BusConnection {
    let bus: Bus
    private var watch: DescriptorWatch?
    private var timer: Timer?
    private var progressCheck: Timer?
    private let onLoss: (BusError) -> Void
    private var isProcessing = false
    private var isCheckingProgress = false
    private var unreadOutput = 0
    private var (stalledChecks, slowChecks) = (0, 0)
    private let mayTakeCalls: () -> Bool

    /// The number of messages that are handled before other events get their turn.
    private static let turn = 16
    /// While the bus has not read more bytes than this, no calls are taken: their replies would need more and more memory.
    private static let maximumUnreadOutput = 131_072
    /// Seconds until calls are taken again, at the earliest.
    private static let pause: Seconds = 0.005
    /// Seconds between two looks at the output.
    private static let checkInterval: Seconds = 0.25
    /// The connection is lost if the bus has read nothing at this number of looks, or if more than ``smallOutput`` waited at this
    /// number of looks.
    private static let (maximumStalledChecks, maximumSlowChecks) = (12, 60)
    private static let smallOutput = 16_384

    /// - Parameters:
    ///   - acceptsDescriptors: see ``Bus``.
    ///   - mayTakeCalls: messages wait in the bus while this is false.
    ///   - onLoss: called at most once, when the connection has ended by itself.
    init(
        acceptsDescriptors: Bool, mayTakeCalls: @escaping () -> Bool = { true }, onLoss: @escaping (BusError) -> Void
    ) throws(BusError) {
        self.mayTakeCalls = mayTakeCalls
        bus = try Bus(acceptsDescriptors: acceptsDescriptors)
        self.onLoss = onLoss
        timer = Timer { [weak self] in self?.process() }
        progressCheck = Timer { [weak self] in self?.checkProgress() }
        // The bus closes its descriptor itself, so it must live until no source watches the descriptor.
        let watch = DescriptorWatch(bus.descriptor, release: { [bus] in withExtendedLifetime(bus) {} })
        self.watch = watch
        watchForInput()
    }

    /// Ends the connection: calls without a reply fail.
    func close() {
        guard let watch else { return }
        self.watch = nil
        watch.cancel()
        timer?.cancel()
        progressCheck?.cancel()
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
            var turns = 0
            while mayHaveMore, turns < Self.turn, canTake {
                mayHaveMore = try bus.process(atMost: 1)
                turns += 1
                guard watch != nil else { return }
            }
            let isPaused = mayHaveMore && turns < Self.turn
            if isPaused { watch?.whenReadable(nil) } else { watchForInput() }
            watchForOutput(bus.hasOutput)
            if let timeout = isPaused ? Self.pause : mayHaveMore ? 0 : bus.timeout {
                timer?.schedule(after: timeout)
            } else {
                timer?.disarm()
            }
            if !isCheckingProgress, bus.unreadOutput > 0 {
                isCheckingProgress = true
                (unreadOutput, stalledChecks, slowChecks) = (.max, 0, 0)
                progressCheck?.schedule(after: Self.checkInterval)
            }
        } catch {
            lost(error)
        }
    }

    /// sd-bus takes a message whenever it has nothing to send, or cannot send it.
    private var canTake: Bool {
        bus.unreadOutput <= Self.maximumUnreadOutput && (!bus.hasOutput || bus.canSend) && mayTakeCalls()
    }

    private func lost(_ error: BusError) {
        guard watch != nil else { return }
        close()
        onLoss(error)
    }

    private func watchForInput() { watch?.whenReadable { [weak self] in self?.process() } }

    private func watchForOutput(_ isWanted: Bool) {
        guard let watch, watch.isWatchingForWriting != isWanted else { return }
        if isWanted { watch.whenWritable { [weak self] in self?.process() } } else { watch.whenWritable(nil) }
    }

    /// Whether the connection was lost because the bus does not read from it: the bus then does not notice its end.
    private(set) var hasStalled = false

    /// dbus-daemon stops reading from a connection when it has too many of its messages that their receivers do not read. That
    /// would end only when those receivers read.
    private func checkProgress() {
        guard watch != nil else { return }
        let unread = bus.unreadOutput
        stalledChecks = unread < unreadOutput ? 0 : stalledChecks + 1
        slowChecks = unread <= Self.smallOutput ? 0 : slowChecks + 1
        unreadOutput = unread
        isCheckingProgress = unread > 0
        guard isCheckingProgress else { return }
        if stalledChecks >= Self.maximumStalledChecks || slowChecks >= Self.maximumSlowChecks {
            hasStalled = true
            return lost(BusError("org.freedesktop.DBus.Error.Timeout", "the bus does not read"))
        }
        progressCheck?.schedule(after: Self.checkInterval)
    }
}
