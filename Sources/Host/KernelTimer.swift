import CHost
import Glibc
public import UpdateCore

/// A timer of the kernel on CLOCK_BOOTTIME (timerfd_create(2)): standby does not hold it up. Its descriptor is readable
/// once it has expired.
public final class WakeUpTimer: Sendable {
    /// Valid as long as this object lives.
    public let descriptor: CInt

    public init() throws(SystemError) {
        descriptor = upgradelink_boottime_timer()
        guard descriptor >= 0 else { throw SystemError("make", "a timer") }
    }

    deinit { close(descriptor) }

    /// Expires once, at this moment, or at once where that has passed; what was armed before does not any more.
    public func arm(at moment: BootInstant) {
        // Zero would disarm it.
        let nanoseconds = min(max(moment.seconds, 0) * 1e9, 9e18)
        _ = upgradelink_arm_timer(descriptor, max(Int64(nanoseconds), 1))
    }

    /// Takes note of the expiry: the descriptor is not readable any more.
    public func acknowledge() { drain(descriptor) }
}

/// Tells when somebody sets the wall clock: a time server, an operator. Its descriptor is readable then.
public final class ClockWatch: Sendable {
    /// Valid as long as this object lives.
    public let descriptor: CInt

    public init() throws(SystemError) {
        descriptor = upgradelink_clock_watch()
        guard descriptor >= 0 else { throw SystemError("watch", "the clock") }
        _ = upgradelink_arm_clock_watch(descriptor)
    }

    deinit { close(descriptor) }

    /// Watches for the next time.
    public func acknowledge() {
        drain(descriptor)
        _ = upgradelink_arm_clock_watch(descriptor)
    }
}

private func drain(_ descriptor: CInt) {
    var expirations: UInt64 = 0
    _ = read(descriptor, &expirations, MemoryLayout.size(ofValue: expirations))
}
