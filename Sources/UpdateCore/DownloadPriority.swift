/// The priority of a download, compared with the other processes of the device.
public struct DownloadPriority: Codable, Hashable, Sendable {
    public enum IOClass: String, Codable, CaseIterable, Sendable {
        /// Use the disk only while no other process does (ioprio_set(2)). It needs an I/O scheduler with classes, such as BFQ.
        case idle
        case bestEffort = "best-effort"
    }

    public var ioClass: IOClass
    /// The nice value, 0 to 19 (nice(1)).
    public var nice: Int
    /// The number of received bytes after which they are written to the disk; 0 leaves it to the kernel.
    public var flushEvery: ByteCount
    /// So many bytes from the start of the file stay in the page cache, from which the installer reads them. More may displace the
    /// data of other processes. Nil: a quarter of the memory that the download may use.
    public var keepCache: ByteCount?

    public init(ioClass: IOClass, nice: Int, flushEvery: ByteCount, keepCache: ByteCount?) {
        self.ioClass = ioClass
        self.nice = nice
        self.flushEvery = flushEvery
        self.keepCache = keepCache
    }
}
