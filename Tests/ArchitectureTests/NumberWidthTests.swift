import Glibc
import Host
import TestSupport
import Testing

/// `Int` has 32 bits on some devices. There is no Swift compiler for them here, so this test looks for lines that would be wrong there.
/// It knows no types: what it finds is either changed, or listed in `exceptions` with the reason why it is right.
///
/// To add a rule, add it to `rules`, with lines that it must find and lines that it must not find.
@Suite struct NumberWidthTests {
    struct Rule: Sendable {
        let name: String
        let remedy: String
        /// Lines that the rule finds.
        let bad: [String]
        /// Lines that it does not find, and no other rule either.
        let good: [String]
        /// A line without any of these is right: regular expressions take long for all lines.
        let words: [String]
        let search: @Sendable (_ line: Substring) -> Bool

        func finds(_ line: Substring) -> Bool {
            line.withCString { text in words.contains { strstr(text, $0) != nil } } && search(line)
        }
    }

    struct Exception: Sendable {
        let file: String
        /// A part of the line.
        let text: String
        let reason: String
    }

    private static let exceptions = [
        Exception(file: "UpdateCore/Chance.swift", text: "0x9E37_79B9_7F4A_7C15", reason: "added to a UInt64"),
        Exception(file: "UpdateCore/Chance.swift", text: "0xBF58_476D_1CE4_E5B9", reason: "multiplied with a UInt64"),
        Exception(file: "UpdateCore/Chance.swift", text: "0x94D0_49BB_1331_11EB", reason: "multiplied with a UInt64"),
        Exception(file: "Configuration/Quantities.swift", text: "1_099_511_627_776", reason: "a factor of type Double"),
        Exception(file: "ControlProgram/Report.swift", text: "try open(path, O_", reason: "calls OpenFile.init"),
        Exception(
            file: "Host/LocalTime.swift", text: "var offset: Int32", reason: "an offset from UTC is less than a day"),
        Exception(file: "DeviceChecks/BinaryFormats.swift", text: "var offset = 0", reason: "in an array"),
        Exception(file: "Systemd/JournalLogHandler.swift", text: "var offset = 0", reason: "in an array"),
        Exception(file: "Fetch/Pace.swift", text: "wait(for bytes: Int", reason: "a piece that is in memory"),
        Exception(file: "Fetch/Transfer.swift", text: "-> CLong", reason: "libcurl takes a long, and 10^9 fits"),
        Exception(file: "Host/SocketOutput.swift", text: "unreadBytes", reason: "in the buffer of a socket"),
        Exception(
            file: "Fetch/Transfer.swift", text: "var headBytes = 0", reason: "at most headLimit, and they are in memory"
        ),
    ]

    /// Programs for the publisher's computer and for the build, where `Int` has 64 bits.
    private static let otherTargets: Set = ["Fleet", "Reference", "Simulator", "upgradelink-sim"]

    static let rules = [
        Rule(
            name: "a type or function of the C library with off_t, ino_t or time_t",
            remedy:
                "call a function of CHost/include/WideFiles.h or WideTimes.h, or FileStatus, Clock or LocalTime of Host",
            bad: [
                "var status = stat()", "guard fstat(descriptor, &status) == 0 else {", "stat(path, &status) == 0",
                "if Glibc.lstat(path, &status) == 0 {", "private func f(_ status: stat) {", "var now = timespec()",
                "let times: [timespec]", "lseek(descriptor, off_t(offset), SEEK_SET)", "var time = time_t(seconds)",
                "let count = pread(descriptor, &buffer, buffer.count, 0)", "clock_gettime(CLOCK_MONOTONIC, &now)",
                "while let entry = readdir(stream) {", "localtime_r(&time, &broken)", "Seconds(timegm(&date))",
                "posix_fadvise(descriptor, 0, 0, 4)", "descriptor = open(path, O_RDONLY)", "statvfs(path, &status)",
                "let own = openat(descriptor, \".\", O_RDONLY | O_DIRECTORY)", "var date = tm()",
                "guard ftruncate(descriptor, 0) == 0", "Int(status.f_bavail) * Int(status.f_frsize)",
                "Int(status.st_size)", "Seconds(time.tv_sec)",
            ],
            good: [
                "let bytes = try Files.read(\"/proc/self/stat\", limit: 4096)", "try file.truncate(to: size)",
                "upgradelink_open(path, all, mode)", "let file = try OpenFile(path, O_RDONLY)", "try open(path)",
                "guard let status = FileStatus(path) else {", "upgradelink_truncate(descriptor, size)",
            ],
            words: [
                "stat(", "stat)", ": stat", "statvfs", "lseek", "pread", "pwrite", "truncate(", "posix_fa",
                "fallocate(",
                "readdir", "localtime", "gmtime", "timegm", "mktime", "strftime", "clock_gettime", "nanosleep",
                "futimens",
                "utimensat", "mmap(", "open", "timespec", "timeval", "tm(", "dirent", "off_t", "time_t", "ino_t",
                "blkcnt_t", "creat(", ".st_", ".tv_", ".f_",
            ]
        ) { line in
            !line.contains("func ")
                && line.contains(
                    /(^|[^A-Za-z0-9_.])(Glibc\.)?(stat|[fl]stat|fstatat|f?statvfs|lseek|p(read|write)v?|f?truncate|posix_fa[a-z]+|fallocate|readdir|(local|gm)time(_r)?|timegm|mktime|strftime|clock_gettime|nanosleep|futimens|utimensat|mmap|openat|timespec|timeval|tm|dirent)\(/
                        .wordBoundaryKind(.simple))
                || line.contains(
                    /\b(stat|timespec|timeval|dirent|(off|time|ino|blkcnt)_t)\b *[\]\)\{,>\(\?]/.wordBoundaryKind(
                        .simple))
                    && !line.contains(/"[^"]*\bstat\b/.wordBoundaryKind(.simple))
                || line.contains(/(^|[^A-Za-z0-9_.]|Glibc\.)(open|creat)\([^"]*\bO_[A-Z]/.wordBoundaryKind(.simple))
                || line.contains(
                    /\.(st_[a-z]+|tv_n?sec|tv_usec|f_(bavail|bfree|blocks|b?r?size|frsize|files|favail))\b/
                        .wordBoundaryKind(.simple))
        },
        Rule(
            name: "an integer of a number with a fraction, without a bound",
            remedy: "use Int64(cut:), or min() and max() in the argument",
            bad: [
                "Int((value * 10).rounded())", "let count = Int(seconds * 1000)", "Int64(bytes.count) + Int(seconds)",
                "UInt64(timeout * 1e6)",
                "Int(interval)", ".nanoseconds(Int(bounded * 1e9))", "CInt(left * 0.5)", "Int64(x.rounded(.down))",
                "Int(Double(received) / Double(total) * 30)", "rate: Int(rate ?? 0))", "UInt32(pause * 1e6)",
                "(Int(self.timeLimit))",
            ],
            good: [
                "Int64(cut: (value * 10).rounded())", "UInt64(min(max(seconds, 0), 1e9) * 1e6)", "Int(count) * 56",
                "CInt(min(left, 1e6) * 1000) + 1", "Int(weekday % 7)", "Int(clamping: bound - part.size)",
                "Int(exactly: rate)", "Int(digits)", "Int(fields[1])", "Int64(bytes.count)",
            ],
            words: ["Int(", "Int8(", "Int16(", "Int32(", "Int64(", "CLong(", "ByteCount(", "_t("]
        ) { line in
            line.matches(
                of: /\b(U?Int(8|16|32|64)?|CInt|CLong|ByteCount|useconds_t|time_t)\(/.wordBoundaryKind(.simple)
            ).contains { match in
                // Up to the parenthesis that closes the argument.
                var depth = 1
                let inner = line[match.range.upperBound...].prefix { character in
                    depth += character == "(" ? 1 : character == ")" ? -1 : 0
                    return depth > 0
                }
                if inner.contains(
                    /^(cut|clamping|exactly|bitPattern|truncatingIfNeeded):|\bmin\(/.wordBoundaryKind(.simple))
                {
                    return false
                }
                return inner.contains(
                    /\.rounded\(|[0-9]e[0-9]|[0-9]\.[0-9]|\b(Double|Seconds)\(|\b(unixSeconds|seconds|interval|timeout|timeLimit|patience|delay|rate|elapsed)\b(?!\()/
                        .wordBoundaryKind(.simple))
            }
        },
        Rule(
            name: "a number of more than 32 bits without a type that has 64",
            remedy: "write the type, such as ByteCount, Int64, UInt64 or Seconds, in the same line",
            bad: [
                "static let highestID = 1 << 53", "size <= 8 << 30", "let limit = 1_000_000_000_000",
                "static let latest = 253_402_300_799", "if count > 4294967296 {", "let mask = 0x1_0000_0000",
                "number <= 1 << 31",
            ],
            good: [
                "static let part = 8 << 20", "let limit: Int64 = 1 << 53", "let latest: UInt64 = 253_402_300_799",
                "static let limit: Seconds = 1e12", "case .upToDate: \"996b6c36b5ee4c34815084be2591ba57\"",
                "let most = 2_147_483_647", "(1 << 30)", "let name = \"4294967296\"",
                "func of(_ n: ByteCount) { n < 1 << 50 }",
            ],
            words: (0...9).map { "\($0)" }
        ) { line in
            // Ten digits are needed, or a shift.
            guard line.utf8.count(where: { (0x30...0x39).contains($0) }) > 8 || line.contains("<<") else {
                return false
            }
            if line.contains(/\b(U?Int64|ByteCount|Double)\b|Seconds\b/.wordBoundaryKind(.simple)) { return false }
            let numbers = line.matches(
                of: /(^|[^A-Za-z0-9_."])(0x[0-9A-Fa-f_]+|[0-9][0-9_]*)(?![.0-9A-Za-z_"])/.wordBoundaryKind(.simple)
            )
            .compactMap { match -> UInt64? in
                let digits = match.output.2.filter { $0 != "_" }
                return digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
            }
            let shifts = line.matches(of: /\b([0-9]+) *<< *([0-9]+)/.wordBoundaryKind(.simple)).compactMap {
                match -> UInt64? in
                guard let number = UInt64(match.output.1), let by = UInt64(match.output.2), by < 63 else { return nil }
                return number << by
            }
            return (numbers + shifts).contains { $0 > UInt64(Int32.max) }
        },
        Rule(
            name: "a size, a position, a rate or a time of type Int",
            remedy: "use ByteCount for bytes that are not in memory, and Seconds or Int64 for times",
            bad: [
                "public var sizeLimit: Int", "let size: Int?", "func read(at offset: Int) -> [UInt8] {",
                "case setLimit(bytesPerSecond: Int32)", "var freeSpace: Int {",
                "private var received: ByteRange, size: Int",
                "static func freeSpace(at path: String) throws -> Int {", "func seconds(_ text: String) -> Int? {",
                "var size = 0", "private(set) var wholeSeconds: Int", "init(keepFree: Int = 0)", "let timeout: UInt32",
                "static func bytes(_ text: String) -> Int? {", "case size(ClosedRange<Int>)",
                "let value: Atomic<Int>, speed: Int", "init(second: Int, seconds: Int)",
            ],
            good: [
                "public var sizeLimit: ByteCount", "let bytes: [UInt8]", "var wholeSeconds: Int64",
                "func size() -> Size {",
                "var size: (columns: Int, rows: Int)", "let timeout: Seconds", "func read(_ path: String, limit: Int)",
                "var offset: Seconds", "static let pageSize = 64", "func bytes(of text: String) -> [UInt8] {",
            ],
            words: ["Int", "CLong", "= 0", "= 1", "= 2", "= 3", "= 4", "= 5", "= 6", "= 7", "= 8", "= 9"]
        ) { line in
            line.contains(
                /\b([A-Za-z]*([sS]ize|[bB]ytes|[oO]ffset|[sS]econds|[tT]ime|[tT]imeout|[dD]uration|[sS]peed|[fF]reeSpace|[lL]imitOfBytes)|bytesPerSecond|sizeLimit|speedLimit|lowSpeed|keepFree|received)\??: *(U?Int(32)?|CInt|CLong)\b/
                    .wordBoundaryKind(.simple))
                || line.contains(
                    /\bfunc [A-Za-z]*([sS]ize|[bB]ytes|[oO]ffset|[sS]econds|[tT]ime|[sS]pace)\b.*-> *(U?Int(32)?|CInt|CLong)\b/
                        .wordBoundaryKind(.simple))
                || line.contains(/\bcase size\(ClosedRange<Int>/.wordBoundaryKind(.simple))
                || line.contains(
                    /\bvar [A-Za-z]*([sS]ize|[bB]ytes|[oO]ffset|[sS]econds|[sS]peed|[tT]ime|received) *= *[0-9]/
                        .wordBoundaryKind(.simple))
        },
        Rule(
            name: "a length in a header of type Int",
            remedy: "parse it as ByteCount",
            bad: [
                "reply.headers[\"content-length\"].flatMap { Int($0) }",
                "let all = Int(head.headers[\"content-range\"] ?? \"\")",
            ],
            good: [
                "reply.headers[\"content-length\"].flatMap { ByteCount($0) }",
                "case \"count\": count = Int(line[1]) ?? 0",
            ],
            words: ["\"content-"]
        ) { line in line.contains(/"content-(length|range)"/) && line.contains(/\bU?Int\(/.wordBoundaryKind(.simple)) },
        Rule(
            name: "an interval of Dispatch from an Int",
            remedy: "add seconds of type Double to the DispatchTime",
            bad: ["deadline: .now() + .nanoseconds(count)", ".milliseconds(Int(left))"],
            good: ["leeway: .milliseconds(1)", "deadline: .now() + seconds", "Self.microseconds(seconds)"],
            words: ["seconds("]
        ) { line in line.contains(/(^|[^A-Za-z0-9_])\.(nano|micro|milli)seconds\([^0-9)]/.wordBoundaryKind(.simple)) },
    ]

    /// The lines of code of a file: without comments, which are lines of their own.
    private static func code(_ text: String) -> [Substring] {
        text.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { !$0.hasPrefix("//") }
    }

    private static func sources() throws -> [(file: String, lines: [Substring])] {
        try Files.list("\(repositoryDirectory)/Sources").filter { !otherTargets.contains($0) }.flatMap { target in
            let directory = "\(repositoryDirectory)/Sources/\(target)"
            return try Files.list(directory).filter { $0.hasSuffix(".swift") }.map { name in
                let text = String(decoding: try Files.read("\(directory)/\(name)", limit: 1 << 20), as: UTF8.self)
                return ("\(target)/\(name)", code(text))
            }
        }
    }

    @Test func noLineNeedsAnIntOf64Bits() throws {
        let sources = try Self.sources()
        #expect(sources.count > 200)
        var used: Set<String> = []
        for (file, lines) in sources {
            for line in lines {
                for rule in Self.rules where rule.finds(line) {
                    if let exception = Self.exceptions.first(where: { $0.file == file && line.contains($0.text) }) {
                        used.insert(exception.file + exception.text)
                    } else {
                        Issue.record("Sources/\(file): \(line)\n\(rule.name): \(rule.remedy)")
                    }
                }
            }
        }
        for exception in Self.exceptions where !used.contains(exception.file + exception.text) {
            Issue.record("no rule finds \"\(exception.text)\" in \(exception.file): remove the exception")
        }
    }

    @Test func eachRuleFindsItsLines() {
        for rule in Self.rules {
            for line in rule.bad { #expect(rule.finds(line[...]), "\(rule.name) does not find: \(line)") }
        }
        for line in Self.rules.flatMap(\.good) {
            for rule in Self.rules { #expect(!rule.finds(line[...]), "\(rule.name) finds: \(line)") }
        }
        #expect(Self.code("  // var status = stat()\nlet size = 1\n    /// x") == ["let size = 1"])
    }

    /// Each target with C has the macros that make the C library's types wide.
    @Test func cIsCompiledWithWideTypes() throws {
        let manifest = String(
            decoding: try Files.read("\(repositoryDirectory)/Package.swift", limit: 1 << 20), as: UTF8.self)
        for macro in ["_FILE_OFFSET_BITS", "_TIME_BITS"] { #expect(manifest.contains("\"\(macro)\", to: \"64\"")) }
        var count = 0
        for target in try Files.list("\(repositoryDirectory)/Sources")
        where try Files.list("\(repositoryDirectory)/Sources/\(target)").contains(where: { $0.hasSuffix(".c") }) {
            count += 1
            let line = manifest.split(separator: "\n").first { $0.contains("name: \"\(target)\"") }
            #expect(line?.contains("cSettings: wide") == true, "\(target) has no cSettings: wide")
        }
        #expect(count >= 4)
    }
}
