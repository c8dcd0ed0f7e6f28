import Glibc
import Host
import TestSupport
import Testing

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
}
