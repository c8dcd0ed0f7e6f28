import Synchronization
import TestSupport
import Testing

@testable import Host

/// Bytes that another thread works on.
@Suite struct BytePipelineTests {
    @Test func allBytesArriveInTheirOrder() {
        let found = Mutex<[UInt8]>([])
        let bytes = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let pipeline = BytePipeline { part in
            part.withUnsafeBytes { bytes in found.withLock { $0.append(contentsOf: bytes) } }
        }
        var rest = bytes[...]
        for size in [1, 65_536, 262_144, 0, 900_001] {
            pipeline.add(Array(rest.prefix(size)).span.bytes)
            rest = rest.dropFirst(size)
        }
        pipeline.finish()
        #expect(found.withLock { $0 } == Array(bytes[..<rest.startIndex]))
        pipeline.add(Array(rest).span.bytes)
        for _ in 1...2 { pipeline.finish() }
        #expect(found.withLock { $0 } == bytes)
    }

    @Test func theThreadEndsWithThePipeline() async {
        final class Witness: Sendable {}
        weak var witness: Witness?
        do {
            let one = Witness()
            witness = one
            let pipeline = BytePipeline { _ in withExtendedLifetime(one) {} }
            pipeline.add([1].span.bytes)
        }
        #expect(await eventually { witness == nil })
    }
}
