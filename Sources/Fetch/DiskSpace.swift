import Host
import UpdateCore

/// Keeps `download.keepFree` bytes free on the partial file's file system.
struct DiskSpace {
    private let part: PartialFile
    private let keepFree: ByteCount
    private let directory: String
    /// Free bytes that may be written before the free space is read again.
    private var allowance: ByteCount = 0

    private static let measureEvery: ByteCount = 1 << 20

    init(_ part: PartialFile, keepFree: ByteCount) {
        self.part = part
        self.keepFree = keepFree
        directory = Files.directory(of: part.file.path)
    }

    /// Why a file of this size does not fit; nil if it does. Space that is reserved for it counts as used already.
    func missing(for total: ByteCount) -> DownloadFailure? {
        let needed = total - part.size - part.reserved
        guard needed > 0 else { return nil }
        do throws(SystemError) {
            let free = try Files.freeSpace(at: directory)
            guard needed > free || keepFree > free - needed else { return nil }
            return .noSpace(
                "\(describe(bytes: needed)) more are needed in \(directory), "
                    + "\(describe(bytes: free)) are free and \(describe(configuredSize: keepFree)) must stay so (download.keepFree)"
            )
        } catch {
            return DownloadFailure(error)
        }
    }

    /// Why these bytes cannot be appended; nil if they can.
    mutating func exhausted(by count: ByteCount) throws(SystemError) -> DownloadFailure? {
        if part.origin.total != nil, part.reserved >= count { return nil }
        if allowance < count {
            let free = try Files.freeSpace(at: directory)
            guard count <= free, keepFree <= free - count else {
                part.awaitSpace(keepFree + max(8 << 20, part.size / 10))
                return .noSpace(
                    "\(describe(bytes: free)) are free in \(directory), and \(describe(configuredSize: keepFree)) must stay so "
                        + "(download.keepFree)")
            }
            allowance = max(count, min(free - keepFree, Self.measureEvery))
        }
        allowance -= count
        return nil
    }
}
