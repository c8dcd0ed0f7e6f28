import Glibc
import Host
import Synchronization
import TestSupport
import Testing
import UpdateCore

/// The offer that waits: the newest stays, also if two processes store or remove one at the same time. A lost offer never comes
/// again.
@Suite struct InboxTests {
    private let scratch: Scratch
    private let inbox: Inbox

    init() throws {
        scratch = try Scratch()
        inbox = Inbox("\(scratch.path)/offer.json")
    }

    private func offer(_ versionCode: Int, urlKey: String = "device", _ name: String = "f") -> Offer {
        Offer(file: "/\(name)", urlKey: urlKey, versionCode: versionCode)
    }

    @Test func anOfferIsReadAsItWasStored() throws {
        #expect(inbox.read() == nil)
        #expect(try inbox.store(offer(2)) == offer(2))
        #expect(inbox.read() == offer(2))
    }

    @Test func anOlderOfferDoesNotReplaceANewerOne() throws {
        _ = try inbox.store(offer(3))
        #expect(try inbox.store(offer(2)) == offer(3), "the worker reports the one that waits")
        #expect(inbox.read() == offer(3))
    }

    @Test func aNewerOfferReplacesAnOlderOne() throws {
        _ = try inbox.store(offer(2))
        #expect(try inbox.store(offer(3)) == offer(3))
        #expect(inbox.read() == offer(3))
    }

    /// Its address may have changed.
    @Test func theSameVersionIsStoredAgain() throws {
        _ = try inbox.store(offer(2))
        let moved = offer(2, "elsewhere")
        #expect(try inbox.store(moved) == moved)
        #expect(inbox.read() == moved)
    }

    /// The operator has changed device.urlKey: what waits is of no use.
    @Test func anotherApplicationsOfferIsReplacedWhateverItsVersion() throws {
        _ = try inbox.store(offer(9, urlKey: "other"))
        #expect(try inbox.store(offer(2)) == offer(2))
        #expect(inbox.read() == offer(2))
    }

    @Test(arguments: [(1, true), (2, true), (3, false), (4, false)])
    func onlyAnOfferUpToAVersionIsRemoved(waiting: Int, isRemoved: Bool) throws {
        _ = try inbox.store(offer(waiting))
        inbox.empty(upTo: 2)
        #expect(inbox.read() == (isRemoved ? nil : offer(waiting)))
        #expect(scratch.exists("offer.json") == !isRemoved)
    }

    @Test func whatCannotBeReadIsRemovedToo() throws {
        try scratch.write("offer.json", "{\"versionCode\":")
        inbox.empty(upTo: 1)
        #expect(!scratch.exists("offer.json"))
        inbox.empty(upTo: 1)
    }

    @Test func onlyADamagedFileIsSetAside() throws {
        #expect(inbox.setAsideUnreadable() == nil)
        _ = try inbox.store(offer(2))
        #expect(inbox.setAsideUnreadable() == nil && inbox.read() == offer(2))
        try scratch.write("offer.json", "{")
        #expect(inbox.setAsideUnreadable()?.contains("its offer is lost") == true)
        #expect(!scratch.exists("offer.json") && scratch.exists("offer.json.damaged"))
        #expect(try inbox.store(offer(3)) == offer(3))
    }

    @Test func anOfferThatCannotBeStoredIsAnError() throws {
        let inbox = Inbox("\(scratch.path)/missing/offer.json")
        #expect(throws: SystemError.self) { try inbox.store(offer(2)) }
        inbox.empty(upTo: 2)
    }

    // MARK: two processes

    /// Holds the lock as another process does, and calls the body while `action` waits for it.
    private func whileLocked(_ action: @escaping @Sendable (Inbox) -> Void, _ body: () throws -> Void) async throws {
        let lock = try OpenFile(inbox.path + ".lock", O_RDWR | O_CREAT)
        #expect(flock(lock.descriptor, LOCK_EX) == 0)
        let hasEnded = Ended()
        Thread.start { [inbox] in
            action(inbox)
            hasEnded.value.withLock { $0 = true }
        }
        #expect(await eventually(within: 10) { isAwaited(lock) || hasEnded.value.withLock { $0 } })
        try body()
        #expect(!hasEnded.value.withLock { $0 }, "it did not wait for the lock")
        flock(lock.descriptor, LOCK_UN)
        #expect(await eventually { hasEnded.value.withLock { $0 } })
    }

    private final class Ended: Sendable { let value = Mutex(false) }

    /// Whether another process or thread waits for the lock (proc_locks(5)).
    private func isAwaited(_ lock: OpenFile) -> Bool {
        var status = stat()
        fstat(lock.descriptor, &status)
        let lines = String(decoding: (try? Files.read("/proc/locks", limit: 1 << 20)) ?? [], as: UTF8.self)
        return lines.split(separator: "\n").contains { $0.contains("->") && $0.contains(":\(status.st_ino) ") }
    }

    @Test func aStoreLooksAfterTheOtherOne() async throws {
        try await whileLocked { [older = offer(5)] inbox in
            _ = try? inbox.store(older)
        } _: {
            try StoredFile.write(offer(9), to: inbox.path, limit: maximumMessageBytes)
        }
        #expect(inbox.read() == offer(9))
    }

    /// The agent removes what it has taken up, while a worker that outlived an agent stores a newer offer.
    @Test func aRemovalLooksAfterAStore() async throws {
        _ = try inbox.store(offer(5))
        try await whileLocked { inbox in
            inbox.empty(upTo: 5)
        } _: {
            try StoredFile.write(offer(9), to: inbox.path, limit: maximumMessageBytes)
        }
        #expect(inbox.read() == offer(9))
    }
}
