import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Fetch

/// What remains of a download between two runs.
@Suite struct PartialFileTests {
    private let scratch: Scratch
    private static let url = "http://h/f"

    init() throws { scratch = try Scratch() }

    private var path: String { "\(scratch.path)/2.part" }

    private func open(_ url: String = url, isVerified: Bool = true) throws -> PartialFile {
        try PartialFile(path, url: url, isVerified: isVerified)
    }

    /// A part of a file, as a worker leaves it that ends.
    private func leave(
        _ count: Int, total: ByteCount? = nil, validator: String? = "\"v\"", synced: Int? = nil
    ) throws {
        let part = try open()
        try part.begin(.init(url: Self.url, validator: validator, total: total))
        try part.append([UInt8](repeating: 1, count: synced ?? count).span.bytes)
        try part.synchronize()
        if let synced { try part.append([UInt8](repeating: 1, count: count - synced).span.bytes) }
    }

    private func anotherBoot() throws {
        let note = try scratch.read("2.part.json")
        try scratch.write("2.part.json", note.replacing(/"bootID":"[^"]*"/, with: "\"bootID\":\"another\""))
    }

    @Test func inOneBootUnsyncedBytesStay() throws {
        try leave(1000, synced: 600)
        #expect(try open().size == 1000)
    }

    @Test func afterAnotherBootOnlySyncedBytesStay() throws {
        try leave(1000, synced: 600)
        try anotherBoot()
        let part = try open()
        #expect(part.size == 600 && part.unsynced == 0)
        #expect(try part.file.size == 600)
        // The next bytes follow the synced ones.
        try part.append(([2] as [UInt8]).span.bytes)
        #expect(try Files.read(path, limit: 10_000).count == 601)
    }

    /// The note may say more than the file has.
    @Test func aShorterFileIsNotTakenForSynced() throws {
        try leave(1000)
        try OpenFile(path, O_WRONLY).truncate(to: 100)
        let part = try open()
        #expect(part.size == 100 && part.unsynced == 0)
    }

    @Test func aFileWithoutANoteStartsOver() throws {
        try scratch.write("2.part", "something")
        #expect(try open().size == 0)
        #expect(try Files.read(path, limit: 100).isEmpty)
        try scratch.write("2.part", "something")
        try scratch.write("2.part.json", "nonsense")
        #expect(try open().size == 0)
    }

    /// Without verification, a part needs the same address and a validator.
    @Test(arguments: [
        (url, "\"v\"", true, 1000), ("http://other/f", "\"v\"", true, 1000), (url, nil, true, 1000),
        (url, "\"v\"", false, 1000), ("http://other/f", "\"v\"", false, 0), (url, nil, false, 0),
    ])
    func whatMayBeContinued(url: String, validator: String?, isVerified: Bool, size: ByteCount) throws {
        try leave(1000, validator: validator)
        let part = try open(url, isVerified: isVerified)
        #expect(part.size == size && part.origin.url == url)
    }

    @Test func aFileIsCompleteAtItsTotal() throws {
        for (total, isComplete) in [(1000, true), (1001, false), (nil, false)] as [(ByteCount?, Bool)] {
            PartialFile.discard(path)
            try leave(1000, total: total)
            #expect(try open().isComplete == isComplete)
        }
        PartialFile.discard(path)
        try leave(0, total: 0)
        #expect(try !open().isComplete)
        PartialFile.discard(path)
        #expect(try Files.list(scratch.path) == [])
    }

    @Test func anEndThatWasNotMarkedIsRemembered() throws {
        try leave(1000)
        try open().end(at: nil, unmarkedEnd: 1000)
        #expect(try open().unmarkedEnd == 1000)
        try open().end(at: 1000, unmarkedEnd: nil)
        #expect(try open().unmarkedEnd == nil && open().isComplete)
    }

    // MARK: refusals

    /// Every fourth request is for the whole file, also over several runs, and a success begins the count again.
    @Test func everyFourthRequestIsForTheWholeFile() throws {
        try leave(1000)
        var wholes: [Bool] = []
        for _ in 0..<9 {
            let part = try open()
            wholes.append(part.wantsWhole)
            part.noteRefusal()
        }
        #expect(wholes == [false, false, false, true, false, false, false, true, false])
        let part = try open()
        part.noteRefusal()
        part.noteRefusal()
        #expect(part.wantsWhole)
        try part.begin(part.origin)
        #expect(!part.wantsWhole)
        #expect(try !open().wantsWhole)
    }

    @Test func withoutBytesNoRefusalIsCounted() throws {
        let part = try open()
        for _ in 0..<3 { part.noteRefusal() }
        #expect(!part.wantsWhole)
    }

    /// The refusals of one host say nothing about another one.
    @Test func anotherHostBeginsWithoutRefusals() throws {
        try leave(1000)
        let part = try open()
        for _ in 0..<3 { part.noteRefusal() }
        part.awaitSpace(1 << 20)
        #expect(try open().wantsWhole && open().freeNeeded == 1 << 20)
        let other = try open("http://other/f")
        #expect(!other.wantsWhole && other.freeNeeded == nil)
    }

    // MARK: another file

    /// At which response another file of this length replaces the part.
    @Test(
        arguments: [
            (1000, 1000, 3), (1000, 999, 12), (1000, nil, 12), (150_000, 100_000, 3), (150_000, 99_999, 12),
        ] as [(Int, ByteCount?, Int)])
    func anotherFileReplacesThePartAfterSomeTries(size: Int, total: ByteCount?, tries: Int) throws {
        try leave(size, total: 2_000_000)
        var count = 1
        // Each in a run of its own.
        while try !open().isReplaced(byTotal: total), count < 20 { count += 1 }
        #expect(count == tries)
    }

    @Test func onlyTheSameLengthInARowCounts() throws {
        try leave(1000, total: 2_000_000)
        let part = try open()
        #expect(!part.isReplaced(byTotal: 5000) && !part.isReplaced(byTotal: 5000))
        #expect(!part.isReplaced(byTotal: 5001))
        #expect(!part.isReplaced(byTotal: 5000) && !part.isReplaced(byTotal: 5000))
        // Bytes of the file itself end the row.
        try part.begin(part.origin)
        #expect(!part.isReplaced(byTotal: 5000) && !part.isReplaced(byTotal: 5000) && part.isReplaced(byTotal: 5000))
    }

    @Test func aPartWithoutATotalIsReplacedAtOnce() throws {
        try leave(1000)
        #expect(try open().isReplaced(byTotal: 1))
    }

    // MARK: the bytes

    @Test func shorteningDropsWhatIsBehind() throws {
        try leave(1000, total: 2000)
        let part = try open()
        try part.shorten(to: 400)
        #expect(part.size == 400 && part.unsynced == 0 && part.origin.total == nil)
        try part.append(([7] as [UInt8]).span.bytes)
        #expect(try Files.read(path, limit: 10_000) == [UInt8](repeating: 1, count: 400) + [7])
        try anotherBoot()
        #expect(try open().size == 400)
    }

    /// Up to the first byte that differs, over more than one buffer.
    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 149_999, 150_000])
    func theEqualBytesAreCounted(equal: Int) throws {
        try leave(150_000)
        let part = try open()
        let bytes = [UInt8](repeating: 1, count: equal) + [UInt8](repeating: 2, count: 150_000 - equal)
        #expect(try part.matching(bytes.span.bytes, at: 0) == equal)
        // Nothing follows the end.
        #expect(try part.matching(([1, 1, 1] as [UInt8]).span.bytes, at: 149_998) == 2)
    }

    @Test func allBytesAreReadAgain() throws {
        try leave(600_000)
        let part = try open()
        var count = 0
        try part.reread { bytes in
            bytes.withUnsafeBytes { all in
                #expect(all.allSatisfy { $0 == 1 })
                count += all.count
            }
        }
        #expect(count == 600_000)
        #expect(try part.start() == [UInt8](repeating: 1, count: 2048))
        try part.shorten(to: 3)
        #expect(try part.start() == [1, 1, 1])
    }

    @Test func spaceIsReservedForTheWholeFile() throws {
        try leave(1000)
        let part = try open()
        try part.reserve(1 << 20)
        #expect(part.reserved >= (1 << 20) - 4096 && part.reserved <= 1 << 20)
        #expect(try part.file.size == 1000)
        // Bytes that are there need no more.
        try part.reserve(1000)
        try part.reserve(10)
        #expect(try part.file.size == 1000)
    }

    // MARK: disk space

    /// On a file system of its own, so that only this test changes the free space.
    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func exactlyTheFreeSpaceIsUsed() async throws {
        try await scratch.withSmallFileSystem("small", size: "8m") { directory async throws in
            let part = try PartialFile("\(directory)/2.part", url: Self.url, isVerified: true)
            let free = try Files.freeSpace(at: directory)
            let total: ByteCount = 1 << 20
            func refusal(_ keepFree: ByteCount, _ total: ByteCount, _ needs: [SpaceNeed] = []) -> Bool {
                DiskSpace(part, keepFree: keepFree, installation: needs).missing(for: total) != nil
            }
            #expect(!refusal(free - total, total))
            #expect(refusal(free - total + 1, total))
            #expect(!refusal(0, free) && refusal(0, free + 1))
            // The download and the installation need space on one file system.
            let need = SpaceNeed(directory: directory, percent: 100)
            #expect(!refusal(free - 2 * total, total, [need]) && refusal(free - 2 * total + 1, total, [need]))
            #expect(
                refusal(free - 3 * total + 1, total, [need, need]) && !refusal(free - 3 * total, total, [need, need]))
            let elsewhere = SpaceNeed(directory: "/proc", percent: 0, bytes: .max)
            #expect(refusal(0, total, [elsewhere, SpaceNeed(directory: "/proc", percent: 0, bytes: 1)]))
            // Byte by byte, without a total.
            var space = DiskSpace(part, keepFree: free - 1000)
            #expect(try space.exhausted(by: 1000) == nil)
            // They are written, and the space is measured again.
            try Files.replace("\(directory)/other", with: [UInt8](repeating: 1, count: 65_536))
            #expect(try space.exhausted(by: 1) != nil)
            try Files.remove("\(directory)/other")
            var full = DiskSpace(part, keepFree: free - 1000)
            guard case .noSpace? = try full.exhausted(by: 1001) else {
                Issue.record("it would use what must stay free")
                return
            }
            // The next run waits until there is more.
            #expect(part.freeNeeded == free - 1000 + (8 << 20))
            // What is reserved for the file is free for it.
            try part.begin(.init(url: Self.url, validator: nil, total: total))
            try part.reserve(total)
            var reserved = DiskSpace(part, keepFree: free)
            #expect(try reserved.exhausted(by: total) == nil)
            #expect(try reserved.exhausted(by: total + 1) != nil)
            #expect(DiskSpace(part, keepFree: free).missing(for: total) == nil)
        }
    }
}
