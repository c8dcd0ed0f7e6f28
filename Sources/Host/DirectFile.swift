import CHost
import Glibc
public import UpdateCore

/// A block device or a file that is written and read without the page cache where the file system can do that (O_DIRECT of open(2)): what
/// is read back comes from the disk.
public final class DirectFile {
    private let file: OpenFile
    public var path: String { file.path }
    public let isBlockDevice: Bool
    /// The bytes of a block device, which does not grow. ``ByteCount/max`` for a file.
    public let capacity: ByteCount
    private let isDirect: Bool

    /// Opens it for reading and writing.
    ///
    /// - Throws: EBUSY for a block device that is mounted or in use otherwise; ENOTBLK if it is neither a block device nor a file.
    public init(_ path: String) throws(SystemError) {
        guard let found = FileStatus(path, followsLinks: false) else { throw SystemError("open", path) }
        isBlockDevice = found.type == S_IFBLK
        guard isBlockDevice || found.kind == .regular else { throw SystemError("open", path, code: ENOTBLK) }
        // A block device that is in use cannot be opened exclusively (open(2)).
        file = try OpenFile(path, O_RDWR | O_NOFOLLOW | (isBlockDevice ? O_EXCL : 0))
        guard try file.status.type == found.type else { throw SystemError("open", path, code: ENOTBLK) }
        capacity = isBlockDevice ? upgradelink_end(file.descriptor) : .max
        guard capacity >= 0 else { throw SystemError("examine", path) }
        isDirect = upgradelink_set_direct(file.descriptor, 1) == 0
    }

    /// Reads at an offset, which is a multiple of ``AlignedBuffer/block``.
    ///
    /// - Returns: the number of bytes; fewer than `count` at the end only.
    public func read(into buffer: AlignedBuffer, count: Int, at offset: ByteCount) throws(SystemError) -> Int {
        var done = 0
        while done < count {
            let part = upgradelink_read_at(
                file.descriptor, buffer.memory.baseAddress.map { $0 + done }, Int64(buffer.count - done),
                offset + ByteCount(done))
            if part < 0 {
                if errno == EINTR { continue }
                throw SystemError("read", path)
            }
            done += Int(part)
            // A direct read that is short has reached the end.
            if part == 0 || done % AlignedBuffer.block != 0 { break }
        }
        return min(done, count)
    }

    /// Writes a range of the buffer at an offset. An end that is no multiple of ``AlignedBuffer/block`` goes through the page cache.
    public func write(_ buffer: AlignedBuffer, _ range: Range<Int>, at offset: ByteCount) throws(SystemError) {
        var done = range.lowerBound
        let isAligned = range.count % AlignedBuffer.block == 0
        if isDirect, !isAligned { _ = upgradelink_set_direct(file.descriptor, 0) }
        defer { if isDirect, !isAligned { _ = upgradelink_set_direct(file.descriptor, 1) } }
        while done < range.upperBound {
            let part = upgradelink_write_at(
                file.descriptor, buffer.memory.baseAddress.map { $0 + done }, Int64(range.upperBound - done),
                offset + ByteCount(done - range.lowerBound))
            if part < 0 {
                if errno == EINTR { continue }
                throw SystemError("write", path)
            }
            done += Int(part)
        }
    }

    /// Waits until everything is on the disk, and drops it from the page cache.
    public func synchronize() throws(SystemError) {
        try file.synchronize()
        upgradelink_drop_cache(file.descriptor, 0, 0)
    }
}
