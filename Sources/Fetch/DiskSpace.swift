import Host
import UpdateCore

/// Keeps `download.keepFree` bytes free on the partial file's file system, and begins no download whose installation cannot finish.
struct DiskSpace {
    private let part: PartialFile
    private let keepFree: ByteCount
    private let directory: String
    /// What the installation will need.
    private let installation: [SpaceNeed]
    /// Free bytes that may be written before the free space is read again.
    private var allowance: ByteCount = 0

    private static let measureEvery: ByteCount = 1 << 20

    init(_ part: PartialFile, keepFree: ByteCount, installation: [SpaceNeed] = []) {
        self.installation = installation
        self.part = part
        self.keepFree = keepFree
        directory = Files.directory(of: part.file.path)
    }

    /// Why a file of this size does not fit; nil if it does. Space that is reserved for it counts as used already.
    func missing(for total: ByteCount) -> DownloadFailure? {
        let needed = max(0, total - part.size - part.reserved)
        do throws(SystemError) {
            if needed > 0 {
                let free = try Files.freeSpace(at: directory)
                if needed > free || keepFree > free - needed {
                    return .noSpace("\(describe(bytes: needed)) more are needed in \(directory), \(remark(free))")
                }
            }
            return try missingForInstallation(of: total, download: needed)
        } catch {
            return DownloadFailure(error)
        }
    }

    private func remark(_ free: ByteCount) -> String {
        "\(describe(bytes: free)) are free and \(describe(configuredSize: keepFree)) must stay so (download.keepFree)"
    }

    /// Each file system must have space for all that is stored there. What this process cannot see is left to the installer.
    private func missingForInstallation(
        of total: ByteCount, download: ByteCount
    ) throws(SystemError) -> DownloadFailure? {
        let own = FileStatus(directory)?.identity.device
        var sums: [UInt64: (directory: String, bytes: ByteCount)] = [:]
        for need in installation {
            guard let device = FileStatus(need.directory)?.identity.device else { continue }
            let sum = sums[device]?.bytes ?? (device == own ? download : 0)
            let bytes = need.bytes(for: total)
            sums[device] = (need.directory, sum > ByteCount.max - bytes ? .max : sum + bytes)
        }
        for (_, sum) in sums.sorted(by: { $0.value.directory < $1.value.directory }) {
            let free = try Files.freeSpace(at: sum.directory)
            guard sum.bytes > free || keepFree > free - sum.bytes else { continue }
            return .noSpace(
                "the installation would need \(describe(bytes: sum.bytes)) in \(sum.directory), \(remark(free))")
        }
        return nil
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
