import Glibc
import Host
import Systemd
import TestSupport
import Testing
import UpdateCore

@testable import DeviceChecks

/// The checks of the device at their limits.
@Suite struct DeviceLimitTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    // MARK: certificates

    /// A certificate in DER with this end, without a signature.
    private func certificate(_ time: String, tag: UInt8, hasVersion: Bool = true) -> [UInt8] {
        func der(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { [tag, UInt8(content.count)] + content }
        let version = hasVersion ? der(0xA0, der(0x02, [2])) : []
        let validity = der(0x30, der(0x17, Array("000101000000Z".utf8)) + der(tag, Array(time.utf8)))
        return der(
            0x30, der(0x30, version + der(0x02, [1]) + der(0x30, []) + der(0x30, []) + validity + der(0x30, [])))
    }

    private func expiry(_ time: String, tag: UInt8 = 0x17, hasVersion: Bool = true) -> Double? {
        Certificate.expiry(certificate(time, tag: tag, hasVersion: hasVersion))?.unixSeconds
    }

    @Test func theYearOfACertificateHasTwoOrFourDigits() {
        #expect(expiry("491231235959Z") == 2_524_607_999)
        #expect(expiry("700102030405Z") == 97_445 && expiry("700102030405Z", hasVersion: false) == 97_445)
        // Years from 50 on are those of the last century.
        #expect(expiry("500101000000Z").map { $0 < 0 } != false)
        #expect(expiry("20500101000000Z", tag: 0x18) == 2_524_608_000)
        for (text, tag) in [
            ("491231235959", 0x17), ("49123123595Z", 0x17), ("4912312359590Z", 0x17), ("49123123595xZ", 0x17),
            ("491231235959Z", 0x18), ("20500101000000Z", 0x17), ("491231235959Z", 0x16),
        ] as [(String, UInt8)] {
            #expect(expiry(text, tag: tag) == nil, "\(text)")
        }
        let whole = certificate("491231235959Z", tag: 0x17)
        for count in 0..<whole.count { #expect(Certificate.expiry(Array(whole.prefix(count))) == nil, "\(count)") }
    }

    @Test func aMonthBeforeItsEndACertificateIsAWarning() {
        // No base64 here: the same in PEM.
        let der = certificate("700301000000Z", tag: 0x17)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var base64 = ""
        for start in stride(from: 0, to: der.count, by: 3) {
            let group = Array(der[start..<min(start + 3, der.count)])
            let bits = (0..<3).reduce(0) { $0 << 8 | Int($1 < group.count ? group[$1] : 0) }
            for index in 0..<4 { base64.append(index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : "=") }
        }
        let text = "-----BEGIN CERTIFICATE-----\n\(base64)\n-----END CERTIFICATE-----\n"
        let end = 59 * 86_400.0
        func result(_ now: Double) -> Finding.Result? {
            PEM.problem(
                of: Array(text.utf8), .init(option: "server.caBundle", path: "/x", content: .certificates), name: "c",
                now: WallTime(unixSeconds: now)
            ) { _ in "T" }?.result
        }
        #expect(Certificate.expiries(inPEM: text).map { $0?.unixSeconds } == [end])
        #expect(result(end - 30 * 86_400) == nil && result(end - 30 * 86_400 + 1) == .warn)
        #expect(result(end) == .warn && result(end + 1) == .bad)
    }

    // MARK: access

    @Test func eachErrorHasItsRemedy() {
        let access = Access(hidden: [:], created: [])
        func remedy(_ code: CInt) -> String {
            access.remedy(for: SystemError("read", "/etc/x", code: code), path: "/etc/x", option: "o")
        }
        #expect(remedy(EACCES) == "let the user upgradelinkd read it: chgrp upgradelinkd /etc/x && chmod g+r /etc/x")
        for code in [ENOENT, ENOTDIR] { #expect(remedy(code) == "create it, or set o") }
        for code in [EISDIR, EINVAL] { #expect(remedy(code) == "set o to a regular file") }
        #expect(remedy(EFBIG) == "set o to the right file" && remedy(EIO) == "check the file system, or set o")
    }

    @Test func aFileOfTheRightSizeCanBeRead() throws {
        let access = Access(hidden: [:], created: [])
        func remedy(_ count: Int) throws -> String? {
            let path = try scratch.write("file", String(repeating: "x", count: count))
            return access.remedy(forReading: path, option: "o")
        }
        #expect(try remedy(65_536) == nil && remedy(65_537) == "set o to the right file")
    }

    @Test func whatIsHiddenIsTheDirectoryAndWhatIsBelow() {
        let access = Access(hidden: ["/home": "ProtectHome=yes", "/home/u": "InaccessiblePaths="], created: [])
        for path in ["/home", "/home/x"] { #expect(access.hiding(path)?.setting == "ProtectHome=yes", "\(path)") }
        for path in ["/homes", "/hom", "/", "/x/home"] { #expect(access.hiding(path) == nil, "\(path)") }
    }

    @Test(.enabled(if: getuid() == 0, "mounting needs root")) func theSpaceOfADirectoryHasAMinimum() async throws {
        try await scratch.withSmallFileSystem("small", size: "64k,nr_inodes=20") { place in
            let access = Access(hidden: [:], created: [])
            func problem(_ minimum: ByteCount) -> String? {
                access.problem(of: .init(option: "o", path: place, minimum: minimum), name: "d")?.text
            }
            let free = try Files.freeSpace(at: place)
            #expect(problem(free) == nil)
            #expect(problem(free + 1)?.hasSuffix("is full, so the agent cannot store its state") == true)
            var count = 0
            while mknod("\(place)/\(count)", S_IFREG | 0o600, 0) == 0 { count += 1 }
            #expect(problem(0)?.hasSuffix("has no free inodes, so no file can be created") == true)
        }
    }

    // MARK: the clock

    @Test func theBuildTimeIsNotWrong() {
        func result(_ now: Double) -> Finding.Result {
            ClockFinding.finding(
                now: WallTime(unixSeconds: now), built: WallTime(unixSeconds: 1000), server: nil, isCompared: true,
                isSynchronized: nil
            ) { _ in "T" }.result
        }
        #expect(result(1000) == .ok && result(999) == .bad)
    }

    // MARK: binary formats

    @Test func aMagicNumberMustBeWhole() {
        func matches(_ text: String, _ head: [UInt8]) -> Bool? {
            BinaryFormat(parsing: "enabled\n" + text)?.matches(head, "/x")
        }
        #expect(matches("offset 2\nmagic 4546\n", [0, 0, 0x45, 0x46]) == true)
        #expect(matches("offset 2\nmagic 4546\n", [0, 0, 0x45]) == false)
        #expect(matches("magic 4546\n", [0x45, 0x46, 0]) == true && matches("magic 4546\n", [0x45, 0x47]) == false)
        #expect(matches("magic 4546\nmask ff\n", [0x45, 0x46]) == nil, "the mask has another length")
        #expect(matches("offset -1\nmagic 4546\n", [0x45, 0x46]) == nil)
        #expect(matches("mask ff\n", [0x45]) == nil)
    }

    // MARK: programs

    @Test func aScriptIsAsDeepAsTheKernelFollows() throws {
        var path = "/bin/absent"
        for depth in 1...5 {
            path = try scratch.write("script-\(depth)", "#!\(path)\n", mode: 0o755)
            let isFound = InstalledProgram.problem(of: path) != nil
            #expect(isFound == (depth <= 4), "\(depth)")
        }
    }

    /// The last byte of the last part that is loaded.
    @Test func aProgramWithoutItsLastByteIsIncomplete() throws {
        let bytes = try Files.read("/bin/true", limit: 16 << 20)
        func number(_ at: Int, _ count: Int) -> Int {
            bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        let table = number(32, 8)
        let ends = (0..<number(56, 2)).map { table + 56 * $0 }.filter { number($0, 4) == 1 }.map {
            number($0 + 8, 8) + number($0 + 32, 8)
        }
        let end = try #require(ends.max())
        for count in [end, end - 1] {
            let path = "\(scratch.path)/program"
            try Files.replace(path, with: Array(bytes[..<count]), mode: 0o755)
            chmod(path, 0o755)
            let isIncomplete = InstalledProgram.problem(of: path)?.text.contains("incomplete") == true
            #expect(isIncomplete == (count < end))
        }
    }

    @Test(.enabled(if: geteuid() == 0)) func onlyRootMayOwnWhatRootRuns() throws {
        let path = try scratch.write("program", "#!/bin/sh\n", mode: 0o755)
        #expect(InstalledProgram.problem(of: path) == nil)
        chown(path, 65_534, 0)
        #expect(
            InstalledProgram.problem(of: path)?.text
                == "\(path) belongs to the user 65534, who can change what root runs")
        chown(path, 0, 0)
        chmod(path, 0o001)
        #expect(InstalledProgram.problem(of: path) == nil, "one bit is enough for root")
        symlink("nowhere", "\(scratch.path)/link")
        #expect(InstalledProgram.problem(of: "\(scratch.path)/link")?.text.hasSuffix("that leads nowhere") == true)
    }

    // MARK: values of the bus

    @Test func theValuesOfTheBusAreTakenByTheirType() {
        #expect(
            BusValue.uint32(7).number == 7 && BusValue.uint64(.max).number == .max && BusValue.string("7").number == nil
        )
        #expect(
            BusValue.boolean(true).flag == true && BusValue.uint32(1).flag == nil && BusValue.boolean(true).text == nil)
        #expect(BusValue.array(of: "s", []).items == [] && BusValue.structure([.boolean(true)]).items?.count == 1)
        #expect(BusValue.variant(.string("x")).items == nil)
        let fields = BusValue.dictionary([("a", .string("x")), ("b", .uint32(1))])
        #expect(fields.fields == ["a": .string("x"), "b": .uint32(1)] && fields.signature == "a{sv}")
        #expect(
            BusValue.structure([.string(""), .uint32(1), .uint64(1), .boolean(true), .descriptor(3)]).signature
                == "(subth)".replacing("bth", with: "tbh"))
    }
}
