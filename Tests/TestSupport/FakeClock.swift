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

    public var environment: [String: String] {
        ["LD_PRELOAD": "\(programsFolder)/libfakeclock.so", "WALL_CLOCK_OFFSET": path]
    }
}
