/// What a download leaves to the rest of the box.
public struct DownloadCourtesy: Codable, Hashable, Sendable {
    public enum IOClass: String, Codable, CaseIterable, Sendable {
        /// The disk when nobody else wants it (ioprio_set(2)); for schedulers that know of classes, such as BFQ.
        case idle
        case bestEffort = "best-effort"
    }

    public var ioClass: IOClass
    /// From 0 to 19, as of nice(1).
    public var nice: Int
    /// Bytes after which what came is written to the disk, steadily; 0 leaves it to the kernel.
    public var flushEvery: Int
    /// Leave what came in the page cache, where it may take the place of what the box works with.
    public var keepCache: Bool

    public init(ioClass: IOClass, nice: Int, flushEvery: Int, keepCache: Bool) {
        self.ioClass = ioClass
        self.nice = nice
        self.flushEvery = flushEvery
        self.keepCache = keepCache
    }
}
