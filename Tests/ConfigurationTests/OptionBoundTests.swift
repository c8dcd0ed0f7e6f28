import Testing
import UpdateCore

@testable import Configuration

/// Each limit of each option at its value, and one past it.
@Suite struct OptionBoundTests {
    private static let day = 86_400

    struct Bound: Sendable, CustomTestStringConvertible {
        var key: String
        var lowest: String
        /// Nil: the highest number of its type.
        var highest: String?
        var below: String
        var above: String?
        var testDescription: String { key }

        init(_ key: String, _ lowest: String, _ highest: String?, below: String, above: String?) {
            (self.key, self.lowest, self.highest, self.below, self.above) = (key, lowest, highest, below, above)
        }

        /// A whole number, a number of seconds or a number of bytes.
        init(_ key: String, _ lowest: Int, _ highest: Int?) {
            self.init(
                key, "\(lowest)", highest.map(String.init), below: "\(lowest - 1)", above: highest.map { "\($0 + 1)" })
        }

        /// From a tenth of a second.
        init(tenth key: String, _ highest: Int) {
            self.init(key, "0.1", "\(highest)", below: "0.09", above: "\(highest).1")
        }
    }

    static let bounds: [Bound] = [
        Bound(tenth: "server.connectTimeout", 600), Bound(tenth: "server.requestTimeout", 3600),
        Bound("device.appointVersionCode", 0, nil), Bound("device.versionCode", 1, nil),
        Bound("poll.interval", 1, 90 * day), Bound("poll.splay", 0, 7 * day), Bound(tenth: "poll.backOffBase", day),
        Bound("poll.backOffCap", 1, 7 * day), Bound("download.speedLimit", 0, nil), Bound("download.sizeLimit", 1, nil),
        Bound("download.keepFree", 0, nil), Bound("download.lowSpeed", 0, nil), Bound("download.lowSpeedTime", 1, 3600),
        Bound("download.timeout", 60, 30 * day), Bound("download.nice", 0, 19),
        Bound("download.flushEvery", 0, 1 << 30), Bound("download.keepCache", 0, nil),
        Bound("install.timeout", 1, 7 * day), Bound("install.attempts", 1, 100),
        Bound(tenth: "install.retryDelay", 7 * day), Bound("install.windowLimit", 0, 365 * day),
        Bound("install.idleTime", 1, day), Bound("install.gracePeriod", 0, day),
        Bound("install.inhibitLimit", 0, 30 * day), Bound("install.deferrals", 0, 1000),
        Bound("install.rebootTimeout", 1, day), Bound("install.healthSettle", 0, 3600),
        Bound("install.healthTimeout", 1, day),
    ]

    private func isAccepted(_ key: String, _ value: String) -> Bool {
        let fragment = Fragment(file: "f", bytes: Array("\(key) = \(value)".utf8))
        #expect(fragment.errors.isEmpty == (fragment.values.count == 1))
        return fragment.errors.isEmpty
    }

    @Test(arguments: bounds) func aNumberIsAcceptedUpToItsBounds(bound: Bound) {
        #expect(isAccepted(bound.key, bound.lowest) && !isAccepted(bound.key, bound.below))
        #expect(isAccepted(bound.key, bound.highest ?? "9223372036854775807"))
        if let above = bound.above { #expect(!isAccepted(bound.key, above)) }
        for value in ["true", "[1]", "\"\"", "nan", "-inf"] { #expect(!isAccepted(bound.key, value), "\(value)") }
    }

    @Test func everyOptionWithABoundIsHere() {
        let keys = Schema.options.filter {
            switch $0.kind {
            case .integer, .duration, .size: true
            default: false
            }
        }.map(\.key)
        #expect(Set(keys) == Set(Self.bounds.map(\.key)) && keys.count == Self.bounds.count)
    }

    @Test func aTimeLimitOfAStateHasTheBoundsOfAll() {
        func isAccepted(_ field: String) -> Bool { self.isAccepted("install.timeouts", "{ \(field) }") }
        #expect(isAccepted("Download = 1") && isAccepted("Download = \(7 * Self.day)"))
        #expect(!isAccepted("Download = 0.9") && !isAccepted("Download = \(7 * Self.day).1"))
        for state in [
            "Download", "ArtifactInstall", "NeedsArtifactReboot", "ArtifactReboot", "ArtifactVerifyReboot",
            "ArtifactCommit", "Cleanup", "SupportsRollback", "ArtifactRollback", "ArtifactRollbackReboot",
            "ArtifactVerifyRollbackReboot", "ArtifactFailure",
        ] { #expect(isAccepted("\(state) = 1")) }
        #expect(!isAccepted("download = 1") && !isAccepted("Download = 1, Install = 1"))
        #expect(!self.isAccepted("install.timeouts", "5"))
    }

    /// Each rule of a value alone.
    @Test(arguments: [
        ("server.url", ["\"http://h\"", "\"https://h/p\""], ["\"\"", "\"h\"", "\"ftp://h\"", "7"]),
        ("server.signingPath", ["\"/\""], ["\"\"", "\"a/b\"", "7"]),
        ("server.proxy", ["\"http://h:1\"", "\"socks5h://h\""], ["\"h:1\"", "\"ftp://h\"", "7"]),
        ("device.urlKey", ["\"k\"", "\"a b\""], ["\"\"", "7", "\"a\\nb\"", "\"a\\u200Bb\"", "\"a\\u0007b\""]),
        ("device.interface", ["\"eth0\""], ["\"\"", "7"]),
        (
            "metrics.file", ["\"/a.prom\"", "\"/d/a.prom\""],
            ["\"a.prom\"", "\"/a.txt\"", "\"/.prom\"", "\"/d/.prom\"", "\"/a.prom/\"", "7"]
        ),
        ("download.beforeConsent", ["true", "false"], ["1", "\"true\""]),
        ("download.ioClass", ["\"idle\"", "\"best-effort\""], ["\"Idle\"", "\"\"", "7"]),
        (
            "install.module", ["\"a\"", "\".a\"", "\"a..\"", "\"...\""],
            ["\"\"", "\".\"", "\"..\"", "\"/\"", "\"a/b\"", "7"]
        ),
        ("install.files", ["{}", "{ a = \"\" }"], ["{ \"..\" = \"\" }", "{ \"a/b\" = \"\" }", "{ a = 1 }", "[]"]),
        ("install.metaData", ["{}", "{ a = [1] }"], ["[]", "1"]),
        ("install.moduleDirectories", ["[\"/a\"]"], ["[]", "[\"a\"]", "[\"/a\", \"b\"]", "[7]", "\"/a\""]),
        ("install.rebootCommand", ["[\"/a\"]", "[\"/a\", \"b\"]"], ["[]", "[\"a\"]", "[\"\", \"/a\"]", "[7]"]),
        ("install.healthProgram", ["[]", "[\"/a\", \"b\"]"], ["[\"a\"]", "[\"\"]", "[7]"]),
        (
            "install.healthUnits", ["[]", "[\"\"]", "[\"a.service\"]", "[\"a@b.service\"]", "[\"a.mount\", \"\"]"],
            ["[\"a\"]", "[\"-a.service\"]", "[\"a@.service\"]", "[7]"]
        ),
        (
            "install.windows", ["[]", "[\"Mon 02:00-05:00\"]", "[\"02:00-05:00\", \"Sat,Sun 23:00-06:00\"]"],
            ["[\"\"]", "[\"Mon\"]", "[\"02:00-05:00\", \"x\"]"]
        ),
        ("verification.keys", ["[]", "[\"x\"]"], ["\"x\"", "[7]"]),
    ])
    func eachKindOfValueHasItsRule(key: String, accepted: [String], refused: [String]) {
        for value in accepted { #expect(isAccepted(key, value), "\(value)") }
        for value in refused { #expect(!isAccepted(key, value), "\(value)") }
    }

    // MARK: units

    @Test(
        arguments: [
            ("1", 1), ("1ms", 0.001), ("1s", 1), ("1sec", 1), ("1m", 60), ("1min", 60), ("1h", 3600), ("1hr", 3600),
            ("1d", 86_400), ("1day", 86_400), ("2days", 172_800), ("1w", 604_800),
            ("1w 1d 1h 1min 1s 1ms", 694_861.001),
            (" 1 h ", 3600), (".5h", 1800), ("1h 30", 3630),
        ] as [(String, Seconds)])
    func everyUnitOfTime(text: String, seconds: Seconds) {
        #expect(Amount.seconds(text).map { abs($0 - seconds) < 1e-9 } == true)
    }

    @Test(
        arguments: [
            ("1", 1), ("1B", 1), ("1K", 1 << 10), ("1M", 1 << 20), ("1G", 1 << 30), ("1T", 1 << 40), ("1KiB", 1 << 10),
            ("1MiB", 1 << 20), ("1GiB", 1 << 30), ("1TiB", 1 << 40), ("1kB", 1000), ("1MB", 1_000_000),
            ("1GB", 1_000_000_000), ("1TB", 1_000_000_000_000), ("1.9", 1), ("8000000T", 8_000_000 << 40),
        ] as [(String, ByteCount)])
    func everyUnitOfSize(text: String, bytes: ByteCount) { #expect(Amount.bytes(text) == bytes) }

    @Test(arguments: ["1k", "1b", "1kb", "1 30", "1K 30 5", "9000000000000000000", "8388608T", "1ms"])
    func whatIsNoSize(text: String) { #expect(Amount.bytes(text) == nil) }

    @Test func aSizeIsShownWithItsLargestExactUnit() {
        let shown = [0, 1, 1023, 1024, 1536, 1 << 20, (1 << 20) + 1024, 3 << 30, 1 << 40].map(Quantity.describe(bytes:))
        #expect(shown == ["0", "1", "1023", "1K", "1536", "1M", "1025K", "3G", "1T"])
        #expect(Quantity.describe(seconds: 0.1) == "0.1 s" && Quantity.describe(seconds: 1) == "1 s")
    }

    // MARK: files

    @Test func aFileOfOneMebibyteIsRead() throws {
        #expect(Fragment.maximumBytes == 1 << 20)
    }
}
