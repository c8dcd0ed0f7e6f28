import Testing
import UpdateCore

@Suite struct SizeTests {
    @Test(
        arguments: [
            (2 << 20, "2 MiB"), (65_536, "64 KiB"), (8 << 30, "8 GiB"), (3 * 512 * 1024, "1536 KiB"),
            (5 << 40, "5 TiB"),
            (2_000_000, "2.0 MB"), (1000, "1.0 kB"), (0, "0 B"), (-5, "0 B"), (1023, "1.0 kB"),
        ] as [(ByteCount, String)])
    func aConfiguredSizeIsShownInItsUnit(bytes: ByteCount, text: String) {
        #expect(describe(configuredSize: bytes) == text)
    }
}
