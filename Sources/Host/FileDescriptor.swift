import CHost
public import Glibc

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
        repeat { descriptor = open(path, all, mode) } while descriptor < 0 && errno == EINTR
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
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// - Throws: ``SystemError/notRegular(_:mode:)`` if this is neither a regular file nor `/dev/null`, an empty file.
    public func requireRegular() throws(SystemError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemError("examine", path) }
        guard status.isRegularOrNull else { throw .notRegular(path, mode: status.st_mode) }
    }

    /// The bytes that an unprivileged process can still write on the file system.
    public var freeSpace: Int {
        get throws(SystemError) {
            var status = statvfs()
            guard fstatvfs(descriptor, &status) == 0 else { throw SystemError("examine", path) }
            return Int(status.f_bavail) * Int(status.f_frsize)
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

    /// Waits until content and length are on the disk (fsync(2)).
    /// Reads at this offset, and leaves the position as it is.
    ///
    /// - Returns: the number of bytes read; 0 at the end of the file.
    public func read(into buffer: inout [UInt8], at offset: Int) throws(SystemError) -> Int {
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(offset))
            if count >= 0 { return count }
            if errno != EINTR { throw SystemError("read", path) }
        }
    }

    /// The bytes of disk space that the file occupies, including those that are reserved; 0 if that is unknown.
    public var allocatedSize: Int {
        var status = stat()
        // st_blocks counts units of 512 bytes on every file system (stat(2)).
        return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }

    public func synchronize() throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw SystemError("sync", path) }
    }

    public var size: Int {
        get throws(SystemError) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw SystemError("examine", path) }
            return Int(status.st_size)
        }
    }

    /// Sets the file's length (ftruncate(2)).
    public func truncate(to size: Int) throws(SystemError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw SystemError("truncate", path) }
    }

    /// Sets the current position, counted from the start of the file.
    public func seek(to offset: Int) throws(SystemError) {
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw SystemError("seek in", path) }
    }

    /// Begins to write bytes to the disk, without waiting. It is no error if the file system does not support this.
    public func beginWriteOut(from offset: Int, count: Int) {
        _ = upgradelink_begin_write_out(descriptor, Int64(offset), Int64(count))
    }

    /// Waits until bytes are written, and releases their memory in the page cache, because other processes may need it.
    /// Only ``synchronize()`` makes sure that the bytes survive a power cut.
    public func finishWriteOut(from offset: Int, count: Int, keepCache: Bool) {
        _ = upgradelink_finish_write_out(descriptor, Int64(offset), Int64(count))
        if !keepCache { posix_fadvise(descriptor, off_t(offset), off_t(count), CInt(POSIX_FADV_DONTNEED)) }
    }

    /// Reserves disk space for `count` bytes from `offset` on, without changing the file's length (fallocate(2)). It is no
    /// error if the file system does not support this.
    ///
    /// - Throws: `ENOSPC` if the space is not available.
    public func reserve(from offset: Int, count: Int) throws(SystemError) {
        guard upgradelink_reserve(descriptor, Int64(offset), Int64(count)) == 0 else {
            if errno == EOPNOTSUPP || errno == ENOSYS { return }
            throw SystemError("reserve \(count) bytes for", path)
        }
    }
}

extension stat {
    /// A regular file, or the device `/dev/null` (null(4)), to which a configuration file can be linked to mask another one.
    var isRegularOrNull: Bool {
        st_mode & S_IFMT == S_IFREG || st_mode & S_IFMT == S_IFCHR && st_rdev == Self.nullDevice
    }

    /// Major 1, minor 3.
    private static let nullDevice: dev_t = 0x103
}
