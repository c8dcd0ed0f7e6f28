import Testing
import UpdateCore

@testable import Configuration

@Suite struct QuantityTests {
    @Test(
        arguments: [
            ("90", 90.0), ("90s", 90), ("15min", 900), ("15m", 900), ("6h", 21_600), ("1h 30min", 5400),
            ("1h30min", 5400),
            ("2 d", 172_800), ("1w", 604_800), ("500ms", 0.5), ("1.5h", 5400),
        ])
    func durationsAreRead(text: String, seconds: Double) {
        #expect(Quantity.seconds(text) == seconds)
    }

    @Test(arguments: ["", " ", "h", "-5s", "5 parsecs", "1h -5min", "1..5h", "٣h", "1e5s", "infinity"])
    func invalidDurationsAreRefused(text: String) {
        #expect(Quantity.seconds(text) == nil)
    }

    @Test(
        arguments: [
            ("65536", 65_536), ("512K", 524_288), ("8G", 8_589_934_592), ("1.5M", 1_572_864), ("64MB", 64_000_000),
            ("1KiB", 1024),
        ] as [(String, ByteCount)])
    func sizesAreRead(text: String, bytes: ByteCount) {
        #expect(Quantity.bytes(text) == bytes)
    }

    @Test(arguments: ["", "G", "-1", "1 lot", "99999999999T"])
    func invalidSizesAreRefused(text: String) {
        #expect(Quantity.bytes(text) == nil)
    }

    @Test func metaDataBecomesJSON() {
        let fragment = Fragment(
            file: "x",
            bytes: Array("[install.metaData]\na = \"q\\\"\\n\"\nb = [1, 2.5, true]\nc = { d = \"e\" }".utf8))
        #expect(fragment.values["install.metaData"]?.json == #"{"a":"q\"\n","b":[1,2.5,true],"c":{"d":"e"}}"#)
    }
}
