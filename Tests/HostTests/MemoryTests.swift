import Testing
import UpdateCore

@testable import Host

/// The memory that a process may use.
@Suite struct MemoryTests {
    @Test(arguments: [
        ("/", [:], 4000), ("/system.slice/a.service", [:], 4000),
        ("/system.slice/a.service", ["/system.slice/a.service": 256], 256),
        // A group above has a lower limit, and the root has none.
        ("/system.slice/a.service", ["/system.slice/a.service": 256, "/system.slice": 100, "/": 1], 100),
        ("/system.slice/a.service", ["/system.slice/a.service": 9000], 4000), ("", ["/": 1], 4000),
    ])
    func theLowestLimitCounts(group: String, limits: [String: ByteCount], limit: ByteCount) {
        #expect(Memory.limit(device: 4000, group: group) { limits[$0] } == limit)
    }

    @Test func thisProcessHasALimit() { #expect(Memory.limit > 1 << 20 && Memory.limit < ByteCount.max) }
}
