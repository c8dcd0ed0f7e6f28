import Glibc
import TestSupport
import Testing

@testable import Host

/// A file that is read partly through the page cache.
@Suite struct SequentialReaderTests {
    @Test(arguments: [0, 1, 4096, (1 << 20) - 1, 1 << 20, (3 << 20) + 4097], [0, 1 << 20, Int64.max])
    func theWholeFileIsRead(size: Int, cached: Int64) throws {
        let scratch = try Scratch()
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 >> 8 ^ $0) }
        try Files.replace("\(scratch.path)/file", with: content)
        let file = try Files.open("\(scratch.path)/file")
        var found: [UInt8] = []
        do {
            let reader = SequentialReader(file, size: Int64(size), cached: cached)
            while try reader.next({ part in part.withUnsafeBytes { found.append(contentsOf: $0) } }) > 0 {}
        }
        #expect(found == content)
        // The file can be read as before.
        var byte: [UInt8] = [0]
        let count = try file.read(into: &byte)
        #expect(count == min(size, 1))
    }
}
