import Glibc
import Host

/// A wall clock for one process and its children: the library that is preloaded into them reads it from a file.
public struct FakeClock: Sendable {
    private let path: String

    /// - Parameter shows: the seconds since 1970 that the clock shows now.
    public init(_ scratch: Scratch, shows unixSeconds: Int) throws {
        path = "\(scratch.path)/clock"
        try set(unixSeconds)
    }

    /// - Parameter unixSeconds: what the clock shows from now on; nil is the right time.
    public func set(_ unixSeconds: Int?) throws {
        let offset = unixSeconds.map { $0 - time(nil) } ?? 0
        try Files.replace(path, with: Array("\(offset)".utf8), mode: 0o644)
    }

    // MARK: standby

    private var bootClockPath: String { path + ".boot" }
    private var watchPath: String { path + ".watch" }

    /// Besides, a CLOCK_BOOTTIME that ``resume(afterStandby:)`` sets forward, and a clock watch that hears of it.
    public func standbyEnvironment() throws -> [String: String] {
        try Files.replace(bootClockPath, with: Array("0".utf8), mode: 0o644)
        guard mkfifo(watchPath, 0o644) == 0 else { throw SystemError("make", watchPath) }
        return environment.merging(["BOOT_CLOCK_OFFSET": bootClockPath, "CLOCK_WATCH": watchPath]) { $1 }
    }

    /// The kernel's part of a resume: CLOCK_BOOTTIME has counted the standby, other clocks have not, and the timers that are
    /// cancelled when the clock is set are cancelled.
    public func resume(afterStandby seconds: Int) throws {
        try Files.replace(bootClockPath, with: Array("\(seconds)".utf8), mode: 0o644)
        try OpenFile(watchPath, O_WRONLY).write([UInt8](repeating: 1, count: 8))
    }

    public var environment: [String: String] {
        ["LD_PRELOAD": "\(programsDirectory)/libfakeclock.so", "WALL_CLOCK_OFFSET": path]
    }
}
