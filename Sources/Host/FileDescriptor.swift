import CHost
public import Glibc
public import UpdateCore

/// An open file, which is closed when its last reference is released.
///
/// Offsets, sizes and counts are bytes.
public final class OpenFile: Sendable {
    public let path: String
    /// Valid as long as this object lives.
    public let descriptor: CInt

    /// Opens a file. Opening a FIFO for reading does not wait for a writer, and a terminal does not become the controlling one.
    ///
    /// - Parameter flags: as for open(2); `O_CLOEXEC` and `O_NOCTTY` are added, and for reading `O_NONBLOCK`, which regular files
    ///   ignore.
    public init(_ path: String, _ flags: CInt, mode: mode_t = 0o600) throws(SystemError) {
        var descriptor: CInt
        let all = flags | O_CLOEXEC | O_NOCTTY | (flags & O_ACCMODE == O_WRONLY ? 0 : O_NONBLOCK)
        repeat { descriptor = upgradelink_open(path, all, mode) } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else { throw SystemError("open", path) }
        self.path = path
        self.descriptor = descriptor
    }

    /// Takes over an open file.
    ///
    /// - Parameter descriptor: an open file, closed with this object.
    public init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Whether this is a regular file; a pipe or a device could block its reader.
    public var isRegular: Bool {
        FileStatus(descriptor: descriptor)?.kind == .regular
    }

    /// - Throws: ``SystemError/notRegular(_:mode:)`` if this is neither a regular file nor `/dev/null`, an empty file.
    public func requireRegular() throws(SystemError) {
        let status = try status
        guard status.isRegularOrNull else { throw .notRegular(path, mode: status.type) }
    }

    /// The bytes that an unprivileged process can still write on the file system.
    public var freeSpace: ByteCount {
        get throws(SystemError) {
            var space = upgradelink_space()
            guard upgradelink_space_open(descriptor, &space) == 0 else { throw SystemError("examine", path) }
            return space.free
        }
    }

    /// Writes all bytes at the current position.
    public func write(_ bytes: RawSpan) throws(SystemError) {
        var done = 0
        while done < bytes.byteCount {
            let count = bytes.extracting(droppingFirst: done).withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("write", path)
            }
            done += count
        }
    }

    /// The current position, counted from the start of the file.
    public var position: ByteCount { upgradelink_position(descriptor) }

    /// Writes all bytes at the current position.
    public func write(_ bytes: [UInt8]) throws(SystemError) { try write(bytes.span.bytes) }

    /// Reads at most `buffer.count` bytes into the buffer's start.
    ///
    /// - Returns: the number of bytes that were read; 0 at the end of the file.
    public func read(into buffer: inout [UInt8]) throws(SystemError) -> Int {
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { return count }
            if errno != EINTR { throw SystemError("read", path) }
        }
    }

    /// Reads at this offset, and leaves the position as it is.
    ///
    /// - Returns: the number of bytes read; 0 at the end of the file.
    public func read(into buffer: inout [UInt8], at offset: ByteCount) throws(SystemError) -> Int {
        while true {
            let count = Int(upgradelink_read_at(descriptor, &buffer, Int64(buffer.count), offset))
            if count >= 0 { return count }
            if errno != EINTR { throw SystemError("read", path) }
        }
    }

    /// The bytes of disk space that the file occupies, including those that are reserved; 0 if that is unknown.
    public var allocatedSize: ByteCount { FileStatus(descriptor: descriptor)?.allocatedSize ?? 0 }

    /// Waits until content and length are on the disk (fsync(2)).
    public func synchronize() throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw SystemError("sync", path) }
    }

    public var size: ByteCount { get throws(SystemError) { try status.size } }

    /// Sets the file's length (ftruncate(2)).
    public func truncate(to size: ByteCount) throws(SystemError) {
        guard upgradelink_truncate(descriptor, size) == 0 else { throw SystemError("truncate", path) }
    }

    /// Sets the current position, counted from the start of the file.
    public func seek(to offset: ByteCount) throws(SystemError) {
        guard upgradelink_seek(descriptor, offset) == 0 else { throw SystemError("seek in", path) }
    }

    /// Begins to write bytes to the disk, without waiting. It is no error if the file system does not support this.
    public func beginWriteOut(from offset: ByteCount, count: ByteCount) {
        _ = upgradelink_begin_write_out(descriptor, offset, count)
    }

    /// Waits until bytes are written, and releases their memory in the page cache, because other processes may need it.
    /// Only ``synchronize()`` makes sure that the bytes survive a power cut.
    ///
    /// - Parameter kept: the bytes before this offset stay in the page cache.
    public func finishWriteOut(from offset: ByteCount, count: ByteCount, keepingCacheBefore kept: ByteCount) {
        _ = upgradelink_finish_write_out(descriptor, offset, count)
        let dropped = max(offset, kept)
        if dropped < offset + count { upgradelink_drop_cache(descriptor, dropped, offset + count - dropped) }
    }

    /// Reserves disk space for `count` bytes from `offset` on, without changing the file's length (fallocate(2)). It is no
    /// error if the file system does not support this.
    ///
    /// - Throws: `ENOSPC` if the space is not available.
    public func reserve(from offset: ByteCount, count: ByteCount) throws(SystemError) {
        guard upgradelink_reserve(descriptor, offset, count) == 0 else {
            if errno == EOPNOTSUPP || errno == ENOSYS { return }
            throw SystemError("reserve \(count) bytes for", path)
        }
    }
}
