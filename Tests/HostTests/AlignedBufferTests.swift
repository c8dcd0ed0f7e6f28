import Testing

@testable import Host

@Suite struct AlignedBufferTests {
    private func buffer(_ byte: UInt8, at place: Int) -> AlignedBuffer {
        let buffer = AlignedBuffer(2 * AlignedBuffer.block)
        let bytes = (0..<buffer.count).map { $0 == place ? byte : 0 }
        buffer.replace(from: 0, with: bytes.span.bytes)
        return buffer
    }

    @Test func onlyTheRangeIsCompared() {
        let (one, other) = (buffer(1, at: 4096), buffer(2, at: 4096))
        #expect(one.equals(other, in: 0..<4096) && one.equals(other, in: 4097..<8192))
        #expect(!one.equals(other, in: 4096..<8192) && !one.equals(other, in: 0..<4097))
    }

    @Test func bytesAreReplacedFromTheirPlace() {
        let one = buffer(1, at: 0)
        let bytes: [UInt8] = [7, 8]
        one.replace(from: 8190, with: bytes.span.bytes)
        #expect(one.memory[8189] == 0 && one.memory[8190] == 7 && one.memory[8191] == 8 && one.memory[0] == 1)
    }
}
