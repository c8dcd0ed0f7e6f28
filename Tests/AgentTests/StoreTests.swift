import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// The agent's own files: what is stored, set aside, restored and moved.
@MainActor @Suite struct StoreTests {
    private let scratch: Scratch
    private var path: String { "\(scratch.path)/state.json" }

    init() throws { scratch = try Scratch() }

    private func state(_ code: Int) -> AgentState {
        var state = AgentState()
        state.lastCommitted = code
        return state
    }

    /// Each replaced file has another number.
    private func inode() -> UInt64 {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    @Test func aStateIsStoredOnlyIfItHasChanged() throws {
        var store = Store(directory: scratch.path)
        try store.save(state(1))
        let first = inode()
        // The number of a file that is kept is not used again.
        link(path, "\(path).kept")
        try store.save(state(1))
        #expect(inode() == first, "each write wears the flash memory")
        try store.save(state(2))
        let second = inode()
        #expect(second != first)
        link(path, "\(path).kept-too")
        store.forget()
        try store.save(state(2))
        #expect(inode() != second)
        var next = Store(directory: scratch.path)
        let found = try next.load()
        #expect(found.state.lastCommitted == 2 && found.damage == nil)
    }

    @Test func withoutAFileTheStateIsEmpty() throws {
        var store = Store(directory: scratch.path)
        let found = try store.load()
        #expect(found.state == AgentState() && found.damage == nil)
    }

    @Test(arguments: ["", "{", "[]", "larger than the limit", "a directory"])
    func whatCannotBeAStateIsSetAside(content: String) throws {
        switch content {
        case "a directory": try Files.createDirectory(path)
        case "larger than the limit": try OpenFile(path, O_WRONLY | O_CREAT).truncate(to: (4 << 20) + 1)
        default: try scratch.write("state.json", content)
        }
        var store = Store(directory: scratch.path)
        let found = try store.load()
        #expect(found.state == AgentState() && found.damage?.contains("was damaged and is set aside") == true)
        #expect(!scratch.exists("state.json") && scratch.exists("state.json.damaged"))
    }

    /// An error of the disk is no reason to forget everything.
    @Test func aFileThatCannotBeReadNowIsKept() throws {
        symlink(path, path)
        var store = Store(directory: scratch.path)
        do {
            _ = try store.load()
            Issue.record("it was read")
        } catch {
            #expect(error.code == ELOOP)
        }
        #expect(!scratch.exists("state.json.damaged"))
    }

    @Test func fieldsThatAreLeftOutAreNamed() throws {
        try scratch.write("state.json", #"{"format":2,"lastCommitted":3,"rejected":[1,"x"],"bootID":7}"#)
        var store = Store(directory: scratch.path)
        let found = try store.load()
        #expect(found.state.lastCommitted == 3 && found.state.rejected == [1])
        #expect(found.damage?.contains("left out: bootID, rejected.1") == true, "\(found.damage ?? "")")
        #expect(scratch.exists("state.json"))
    }

    // MARK: the directory

    private var directory: String { "\(scratch.path)/state" }

    /// The service manager keeps this directory until it has started the next process.
    private var rescue: [String: String] { ["RUNTIME_DIRECTORY": "\(scratch.path)/run:/elsewhere"] }

    @Test func whatWasRescuedIsMovedIn() throws {
        try Files.createDirectory("\(scratch.path)/run")
        try scratch.write("state/identity.json", "identity")
        var first = try StateDirectory(directory, rescue: rescue)
        first.noteIdentity()
        try Files.removeTree(directory)
        #expect(!first.isInPlace && first.rescue(state(7)) == "\(scratch.path)/run")
        let second = try StateDirectory(directory, rescue: rescue)
        #expect(second.isInPlace)
        #expect(try scratch.read("state/identity.json") == "identity")
        var store = Store(directory: directory)
        #expect(try store.load().state.lastCommitted == 7)
        #expect(try Files.list("\(scratch.path)/run").isEmpty, "it is of no later use")
    }

    @Test func whatTheDirectoryHasIsNotReplaced() throws {
        try scratch.write("run/state.json", "old")
        try scratch.write("state/state.json", "new")
        _ = try StateDirectory(directory, rescue: rescue)
        #expect(try scratch.read("state/state.json") == "new")
        #expect(!scratch.exists("run/state.json"))
    }

    @Test func withoutAServiceManagerNothingIsRescued() throws {
        let place = try StateDirectory(directory, rescue: [:])
        #expect(place.rescue(state(1)) == nil)
    }

    /// The identity of the device is in no other file.
    @Test func aDirectoryThatWasRemovedIsMadeAgain() throws {
        try scratch.write("state/identity.json", "identity")
        chmod(directory, 0o750)
        var place = try StateDirectory(directory, rescue: [:])
        place.noteIdentity()
        #expect(try !place.restore(), "it is in place")
        try Files.removeTree(directory)
        #expect(try place.restore())
        #expect(try scratch.read("state/identity.json") == "identity")
        var status = stat()
        #expect(stat(directory, &status) == 0 && status.st_mode & 0o777 == 0o750)
        #expect(place.isInPlace)
        #expect(throws: SystemError.self) { try StateDirectory(directory, rescue: [:]) }
    }

    @Test func onlyTheServiceManagersDirectoryIsItsOwn() {
        let installation = Agent.Installation(
            root: "/", programs: "/p", environment: ["STATE_DIRECTORY": "/var/lib/a:/var/lib/b"])
        #expect(installation.creates("/var/lib/a", as: "STATE_DIRECTORY"))
        #expect(installation.creates("/var/lib/b", as: "STATE_DIRECTORY"))
        #expect(!installation.creates("/var/lib/c", as: "STATE_DIRECTORY"))
        #expect(!installation.creates("/var/lib/a", as: "CACHE_DIRECTORY"))
    }
}
