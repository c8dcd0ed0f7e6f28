import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// Only regular files are read, up to a limit; everything else is refused without waiting.
@Suite(.timeLimit(.minutes(1))) struct PlantedFileTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test(arguments: Planted.allCases) func isNotRead(planted: Planted) throws {
        let path = "\(scratch.path)/file"
        try planted.plant(at: path)
        for limit in [0, 1000] {
            do throws(SystemError) {
                _ = try Files.read(path, limit: limit)
                Issue.record("it was read")
            } catch {
                #expect(error.reason == planted.complaint)
            }
        }
    }

    /// A configuration file is masked with a link to /dev/null.
    @Test func theNullDeviceIsEmpty() throws {
        symlink("/dev/null", "\(scratch.path)/masked")
        #expect(try Files.read("\(scratch.path)/masked", limit: 10).isEmpty)
    }

    /// Files in /proc and /sys are regular, and have the size 0.
    @Test func filesOfTheKernelAreRead() throws {
        #expect(try !Files.read("/proc/self/status", limit: 65_536).isEmpty)
        #expect(try !Clock.bootID().isEmpty)
    }

    /// Writing does not follow a link that was planted under the temporary name, and does not wait either.
    @Test(arguments: Planted.allCases) func aTemporaryNameIsNotFollowed(planted: Planted) throws {
        try scratch.write("outside", "precious")
        let path = "\(scratch.path)/file"
        try planted.plant(at: path + ".new")
        if planted == .directory {
            #expect(throws: SystemError.self) { try Files.replace(path, with: [1]) }
        } else {
            try Files.replace(path, with: [1])
            #expect(try Files.read(path, limit: 10) == [1])
        }
        unlink(path + ".new")
        symlink("\(scratch.path)/outside", path + ".new")
        if planted != .directory { try Files.replace(path, with: [2]) }
        #expect(try scratch.read("outside") == "precious")
    }

    @Test(arguments: Planted.allCases) func anOfferIsStoredInItsPlace(planted: Planted) throws {
        let inbox = Inbox("\(scratch.path)/offer.json")
        try planted.plant(at: inbox.path)
        try planted.plant(at: inbox.path + ".damaged")
        #expect(inbox.read() == nil)
        // A dangling link is no file: the new one replaces it.
        if planted != .danglingLink { #expect(inbox.setAsideUnreadable()?.contains("was damaged") == true) }
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        #expect(try inbox.store(offer) == offer)
        #expect(inbox.read() == offer)
    }

    @Test(arguments: Planted.allCases) func aLockIsALock(planted: Planted) throws {
        guard planted != .danglingLink else { return }
        try planted.plant(at: "\(scratch.path)/lock")
        let lock = try DirectoryLock(scratch.path)
        #expect(throws: SystemError.self) { try DirectoryLock(scratch.path) }
        lock.release()
        withExtendedLifetime(try DirectoryLock(scratch.path)) {}
    }
}
