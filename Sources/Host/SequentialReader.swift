import CHost
import Glibc
public import UpdateCore

/// Reads a file once, from its start. Only the first part goes through the page cache: the rest would displace the data of other
/// processes, and copying it through the kernel's memory costs more than reading it (O_DIRECT of open(2)).
public final class SequentialReader {
    /// Bytes of one read, which direct reads need to be a multiple of the block size.
    private static let part = 1 << 20

    private let file: OpenFile
    private let size: ByteCount
    private let cached: ByteCount
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: part, alignment: 4096)
    private var offset: ByteCount = 0
    private var isDirect = false

    /// - Parameters:
    ///   - file: opened by this process: its flags change.
    ///   - size: bytes that are read.
    ///   - cached: bytes that are read through the page cache.
    public init(_ file: OpenFile, size: ByteCount, cached: ByteCount) {
        (self.file, self.size, self.cached) = (file, size, cached)
    }

    deinit {
        if isDirect { _ = upgradelink_set_direct(file.descriptor, 0) }
        buffer.deallocate()
    }

    /// Reads the next part.
    ///
    /// - Parameter body: gets the bytes.
    /// - Returns: the number of bytes; 0 at the end.
    public func next(_ body: (RawSpan) -> Void) throws(SystemError) -> Int {
        guard offset < size else { return 0 }
        // A file system that cannot read directly is read through the page cache.
        if !isDirect, offset >= cached { isDirect = upgradelink_set_direct(file.descriptor, 1) == 0 }
        var count = read()
        if count < 0, errno == EINVAL, isDirect {
            isDirect = upgradelink_set_direct(file.descriptor, 0) != 0
            count = read()
        }
        guard count >= 0 else { throw SystemError("read", file.path) }
        offset += ByteCount(count)
        body(UnsafeRawBufferPointer(rebasing: buffer[..<count]).bytes)
        return count
    }

    private func read() -> Int {
        while true {
            let count = Int(upgradelink_read_at(file.descriptor, buffer.baseAddress, Int64(buffer.count), offset))
            if count >= 0 || errno != EINTR { return count }
        }
    }
}
