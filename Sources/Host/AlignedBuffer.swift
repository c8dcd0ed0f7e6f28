import Glibc

/// Bytes in memory at an address that direct reads and writes need (O_DIRECT of open(2)).
public final class AlignedBuffer {
    /// Of flash memory and of disks, in bytes; direct reads and writes are multiples of it.
    public static let block = 4096

    let memory: UnsafeMutableRawBufferPointer
    public var count: Int { memory.count }

    /// - Parameter count: bytes, a multiple of ``block``.
    public init(_ count: Int) {
        memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: Self.block)
    }

    deinit { memory.deallocate() }

    /// Copies bytes to a place in the buffer.
    public func replace(from start: Int, with bytes: RawSpan) {
        bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: memory[start...]).copyMemory(from: $0) }
    }

    /// Whether both buffers have the same bytes in this range.
    public func equals(_ other: AlignedBuffer, in range: Range<Int>) -> Bool {
        guard let one = memory.baseAddress, let second = other.memory.baseAddress else { return false }
        return memcmp(one + range.lowerBound, second + range.lowerBound, range.count) == 0
    }

    /// A number that differs between contents, with a probability of 1 - 2^-64; only of use in this process.
    public func checksum(of count: Int) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: memory[..<count]))
        return hasher.finalize()
    }
}
