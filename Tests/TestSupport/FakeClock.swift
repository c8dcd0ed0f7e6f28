import Glibc
import Host

/// A wall clock for one process and its children: the library that is preloaded into them reads its offset from a file.
public struct FakeClock: Sendable {
    private let path: String

    /// - Parameter shows: the seconds since 1970 that the clock shows now.
    public init(_ scratch: Scratch, shows unixSeconds: Int) throws {
        path = "\(scratch.path)/clock"
        try set(unixSeconds)
    }

    /// - Parameter unixSeconds: what the clock shows from now on; nil is the correct time.
    public func set(_ unixSeconds: Int?) throws {
        let offset = unixSeconds.map { $0 - time(nil) } ?? 0
        try Files.replace(path, with: Array("\(offset)".utf8), mode: 0o644)
    }

    // MARK: standby

    private var bootClockPath: String { path + ".boot" }
    private var watchPath: String { path + ".watch" }

    /// The same, and ``resume(afterStandby:)`` also sets CLOCK_BOOTTIME forward and notifies the clock watch.
    public func standbyEnvironment() throws -> [String: String] {
        try Files.replace(bootClockPath, with: Array("0".utf8), mode: 0o644)
        guard mkfifo(watchPath, 0o644) == 0 else { throw SystemError("make", watchPath) }
        return environment.merging(["BOOT_CLOCK_OFFSET": bootClockPath, "CLOCK_WATCH": watchPath]) { $1 }
    }

    /// Simulates a resume: CLOCK_BOOTTIME includes the standby, other clocks do not, and timers with `TFD_TIMER_CANCEL_ON_SET`
    /// are cancelled.
    public func resume(afterStandby seconds: Int) throws {
        try Files.replace(bootClockPath, with: Array("\(seconds)".utf8), mode: 0o644)
        try OpenFile(watchPath, O_WRONLY).write([UInt8](repeating: 1, count: 8))
    }

    public var environment: [String: String] {
        ["LD_PRELOAD": "\(programsDirectory)/libfakeclock.so", "WALL_CLOCK_OFFSET": path]
    }
}
