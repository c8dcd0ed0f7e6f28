/// Disk space that an installation needs somewhere, in addition to the downloaded artifact.
public struct SpaceNeed: Codable, Hashable, Sendable {
    /// A directory on the file system that needs it; it exists.
    public var directory: String
    /// So many percent of the artifact's size, at least 0.
    public var percent: Int
    /// So many bytes more, at least 0.
    public var bytes: ByteCount

    public init(directory: String, percent: Int, bytes: ByteCount = 0) {
        (self.directory, self.percent, self.bytes) = (directory, percent, bytes)
    }

    /// A line of a module: DIRECTORY PERCENT BYTES.
    public init?(line: String) {
        let words = line.split(separator: " ")
        guard words.count >= 3, line.hasPrefix("/"), let percent = Int(words[words.count - 2]), percent >= 0,
            percent <= 10_000, let bytes = ByteCount(words[words.count - 1]), bytes >= 0
        else { return nil }
        self.init(directory: words.dropLast(2).joined(separator: " "), percent: percent, bytes: bytes)
    }

    /// In bytes.
    ///
    /// - Parameter size: of the artifact, in bytes.
    public func bytes(for size: ByteCount) -> ByteCount {
        let (share, isTooMuch) = (size / 100).multipliedReportingOverflow(by: ByteCount(percent))
        let rest = size % 100 * ByteCount(percent) / 100
        let (sum, overflows) = share.addingReportingOverflow(rest)
        let (all, overflowsToo) = sum.addingReportingOverflow(bytes)
        return isTooMuch || overflows || overflowsToo ? .max : all
    }
}
