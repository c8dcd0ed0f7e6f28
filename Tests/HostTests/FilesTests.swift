import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@Suite struct FilesTests {
    @Test func replacingLeavesNoOtherFile() throws {
        let scratch = try Scratch()
        try Files.replace("\(scratch.path)/state", with: [1, 2, 3])
        try Files.replace("\(scratch.path)/state", with: [4])
        #expect(try Files.read("\(scratch.path)/state", limit: 10) == [4])
        #expect(try Files.list(scratch.path) == ["state"])
    }

    @Test func aFailedReplacementKeepsTheOldFile() throws {
        let scratch = try Scratch()
        try Files.replace("\(scratch.path)/state", with: [1])
        // A directory has the temporary name, so the write fails.
        try Files.createDirectory("\(scratch.path)/state.new")
        #expect(throws: SystemError.self) { try Files.replace("\(scratch.path)/state", with: [2]) }
        #expect(try Files.read("\(scratch.path)/state", limit: 10) == [1])
    }

    @Test func readingIsBounded() throws {
        let scratch = try Scratch()
        try scratch.write("big", String(repeating: "x", count: 1001))
        #expect(throws: SystemError.self) { try Files.read("\(scratch.path)/big", limit: 1000) }
        #expect(try Files.read("\(scratch.path)/big", limit: 1001).count == 1001)
    }

    @Test func removingATreeDoesNotFollowLinksOutOfIt() throws {
        let scratch = try Scratch()
        try scratch.write("outside/precious", "x")
        try scratch.write("tree/a/b", "x")
        symlink("\(scratch.path)/outside", "\(scratch.path)/tree/link")
        try Files.removeTree("\(scratch.path)/tree")
        #expect(!scratch.exists("tree"))
        #expect(scratch.exists("outside/precious"))
    }

    @Test func errorsNameTheFileAndTheReason() {
        do throws(SystemError) {
            _ = try Files.read("/nonexistent/file", limit: 1)
            Issue.record("it was read")
        } catch {
            #expect("\(error)" == "cannot open /nonexistent/file: No such file or directory")
            #expect(error.isNotFound)
        }
    }

    @Test func aDirectoryCannotBeLockedTwice() throws {
        let scratch = try Scratch()
        var lock: DirectoryLock? = try DirectoryLock(scratch.path)
        do throws(SystemError) {
            _ = try DirectoryLock(scratch.path)
            Issue.record("it was locked twice")
        } catch {
            #expect(error.code == EWOULDBLOCK)
        }
        withExtendedLifetime(lock) {}
        lock = nil
        _ = try DirectoryLock(scratch.path)
    }

    // MARK: sizes and times of more than 32 bits

    @Test func aFileMayHaveFiveGibibytes() throws {
        let scratch = try Scratch()
        let size: ByteCount = 5 << 30
        let file = try OpenFile("\(scratch.path)/large", O_RDWR | O_CREAT)
        try file.truncate(to: size - 3)
        try file.seek(to: size - 3)
        try file.write([1, 2, 3])
        #expect(try file.size == size && FileStatus("\(scratch.path)/large")?.size == size)
        #expect(file.allocatedSize < 1 << 20)
        var buffer: [UInt8] = [0, 0, 0, 0]
        #expect(try file.read(into: &buffer, at: size - 3) == 3 && buffer == [1, 2, 3, 0])
        // It does not fit next to what must stay free.
        let free = try Files.freeSpace(at: scratch.path)
        #expect(throws: SystemError.self) { try Files.checkSpace(for: size, at: file.path, keepFree: free) }
        #expect(throws: SystemError.self) { try Files.checkSpace(for: .max, at: file.path, keepFree: .max) }
        #expect(throws: SystemError.self) { try Files.read(file.path, limit: 1000) }
    }

    @Test(arguments: [2_147_483_647, 2_147_483_648, 2_208_988_800, 4_102_444_800] as [Seconds])
    func aFileKeepsATimeAfter2038(unixSeconds: Seconds) async throws {
        let scratch = try Scratch()
        try scratch.write("file", "x")
        try scratch.write("copy", "y")
        try await execute("touch", ["-d", "@\(Int64(unixSeconds))", "\(scratch.path)/file"])
        let time = WallTime(unixSeconds: unixSeconds)
        #expect(Files.modificationTime("\(scratch.path)/file") == time)
        let copy = try OpenFile("\(scratch.path)/copy", O_WRONLY)
        copy.setTimes(of: try #require(FileStatus("\(scratch.path)/file")))
        #expect(try copy.status.modified == time)
    }

    @Test func localTimesAfter2038AreShown() {
        #expect(Clock.date(year: 2040, month: 1, day: 1) == WallTime(unixSeconds: 2_208_988_800))
        #expect(
            Clock.date(year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 59).unixSeconds == 253_402_300_799)
        // Half a day away from the end of the year in every time zone.
        #expect(LocalTime.text(Clock.date(year: 2040, month: 6, day: 15, hour: 12)).hasPrefix("2040-06-1"))
        #expect(LocalTime.text(Clock.date(year: 2100, month: 6, day: 15, hour: 12)).hasPrefix("2100-06-1"))
        #expect(LocalTime.text(Clock.date(year: 9999, month: 6, day: 15, hour: 12)).hasPrefix("9999-06-1"))
        for number in [Double.infinity, -.infinity, .nan, 1e300] {
            #expect(!LocalTime.text(WallTime(unixSeconds: number)).isEmpty)
            _ = LocalTime.offset(now: WallTime(unixSeconds: number))
        }
    }
}
