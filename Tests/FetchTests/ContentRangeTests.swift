import Testing
import UpdateCore

@testable import Fetch

/// The header that says which bytes of a file a response has.
@Suite struct ContentRangeTests {
    @Test(
        arguments: [
            ("bytes 0-0/1", 0, 0, 1), ("bytes 100-199/200", 100, 199, 200), ("bytes 100-198/200", 100, 198, 200),
            ("Bytes=5-9/10", 5, 9, 10), ("bytes: 5 - 9 / 10", 5, 9, 10), ("bytes\t5-9/10", 5, 9, 10),
            ("bytes 5-9/*", 5, 9, nil), ("bytes 0-9223372036854775806/9223372036854775807", 0, .max - 1, .max),
        ] as [(String, ByteCount, ByteCount, ByteCount?)])
    func aRangeIsRead(text: String, first: ByteCount, last: ByteCount, total: ByteCount?) {
        #expect(ContentRange(text) == .range(first: first, last: last, total: total))
    }

    @Test func anUnsatisfiedRangeHasATotal() {
        #expect(ContentRange("bytes */200") == .unsatisfied(total: 200))
        #expect(ContentRange("bytes */0") == .unsatisfied(total: 0))
        #expect(ContentRange("bytes */*") == nil)
    }

    /// Another unit, a last byte in front of the first one or behind the end, and what is no number.
    @Test(arguments: [
        "", "bytes", "items 5-9/10", "5-9/10", "bytes 5-9", "bytes 5-9/", "bytes 5-9/10/10", "bytes 5/10",
        "bytes 5-/10",
        "bytes -9/10", "bytes 5-9-9/10", "bytes 9-8/10", "bytes 5-10/10", "bytes 5-11/10", "bytes 0-0/0",
        "bytes +5-9/10", "bytes 5-9/+10", "bytes 5-9/x", "bytes x-9/10", "bytes ٥-9/10",
        "bytes 5-9223372036854775807/*", "bytes 5-9/9223372036854775808", "bytes 5-9223372036854775808/*",
    ])
    func anythingElseIsNoRange(text: String) { #expect(ContentRange(text) == nil) }
}
