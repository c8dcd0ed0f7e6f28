import FlyingSocks
import Host

/// The body of a reply: a part of a file or of memory, sent with the simulated faults.
struct FileBody: AsyncBufferedSequence {
    typealias Element = UInt8

    enum Source: Sendable {
        case file(OpenFile)
        case bytes([UInt8])
    }

    var source: Source
    var range: Range<Int>
    var dropAfter: Int?
    var bytesPerSecond: Int?
    var isCorrupt = false

    /// Closes the connection.
    struct Cut: Error {}

    func makeAsyncIterator() -> Iterator { Iterator(self) }

    final class Iterator: AsyncBufferedIteratorProtocol {
        private let body: FileBody
        private var offset: Int
        private var sent = 0

        init(_ body: FileBody) {
            self.body = body
            offset = body.range.lowerBound
        }

        func next() async throws -> UInt8? { try await nextBuffer(suggested: 1)?.first }

        func nextBuffer(suggested count: Int) async throws -> [UInt8]? {
            if let dropAfter = body.dropAfter, sent >= dropAfter { throw Cut() }
            var wanted = Swift.min(Swift.max(count, 256 * 1024), body.range.upperBound - offset)
            if let dropAfter = body.dropAfter { wanted = Swift.min(wanted, dropAfter - sent) }
            if let speed = body.bytesPerSecond {
                wanted = Swift.min(wanted, Swift.max(speed / 10, 1))
                try await Task.sleep(for: .seconds(Double(wanted) / Double(speed)))
            }
            guard wanted > 0 else { return nil }
            var bytes = try read(wanted)
            if body.isCorrupt { for index in bytes.indices { bytes[index] ^= 1 } }
            offset += bytes.count
            sent += bytes.count
            return bytes
        }

        private func read(_ count: Int) throws -> [UInt8] {
            switch body.source {
            case .bytes(let bytes):
                return Array(bytes[offset..<(offset + count)])
            case .file(let file):
                var buffer = [UInt8](repeating: 0, count: count)
                let received = try file.read(into: &buffer, at: Int64(offset))
                guard received > 0 else { throw Cut() }
                return Array(buffer[..<received])
            }
        }
    }
}
