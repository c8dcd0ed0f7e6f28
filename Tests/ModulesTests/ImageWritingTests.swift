import Host
import TestSupport
import Testing

@testable import Modules

/// How an image gets from its file to a slot.
@Suite struct ImageWritingTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private static let part = 4 << 20

    /// A slot that cannot be written to must not look like one that is complete.
    @Test func anErrorEndsTheReadingOfARawImage() throws {
        struct SlotIsFull: Error {}
        let path = "\(scratch.path)/image"
        try Files.replace(path, with: [UInt8](repeating: 0x61, count: Self.part))
        let source = try ImageSource(try Files.open(path))
        var calls = 0
        #expect(throws: SlotIsFull.self) {
            try source.read { _, _ in
                calls += 1
                throw SlotIsFull()
            }
        }
        #expect(calls == 1)
    }

    /// The part behind the end of the slot is the same as the part before it, which is still in memory. It is written all the
    /// same.
    ///
    /// - Parameter rest: bytes of the second part that the slot has.
    @Test(arguments: [0, 65_535, 65_536, 100_000]) func whatIsBehindTheEndOfASlotIsWritten(rest: Int) throws {
        let image = [UInt8](repeating: 0x61, count: 2 * Self.part)
        let path = "\(scratch.path)/slot"
        try Files.replace(path, with: Array(image.prefix(Self.part + rest)))
        let writer = SlotWriter(try DirectFile(path))
        try writer.add(image.span.bytes)
        try writer.finish()
        // Only whole blocks of 64 KiB are equal.
        let equal = Int64(Self.part + rest / 65_536 * 65_536)
        #expect(writer.size == Int64(image.count) && writer.equal == equal)
        try writer.verify { _ in }
        let isWhole = try Files.read(path, limit: 64 << 20) == image
        #expect(isWhole)
    }
}
