import Glibc
import TestSupport
import Testing
import UpdateCore

@testable import Host

/// Lines and files over sockets, with their limits.
@Suite struct LocalSocketTests {
    @Test func aLineOfExactlyTheLimitIsReceived() throws {
        for (count, error) in [(100, nil), (101, EMSGSIZE)] as [(Int, CInt?)] {
            let (mine, theirs) = try LocalSocket.pair()
            let line = [UInt8](repeating: 0x61, count: count)
            try theirs.send(line + [0x0A] + [0x62])
            var received: [UInt8]?
            let found = code { received = try mine.receiveLine(limit: 100, within: 5)?.line }
            #expect(found == error && received == (error == nil ? line : nil))
        }
    }

    /// Also a line that never ends is limited.
    @Test func aLineWithoutAnEndIsLimited() throws {
        let (mine, theirs) = try LocalSocket.pair()
        try theirs.send([UInt8](repeating: 0x61, count: 101))
        #expect(code { _ = try mine.receiveLine(limit: 100, within: 5) } == EMSGSIZE)
    }

    @Test func aLineThatDoesNotComeTimesOut() throws {
        let (mine, theirs) = try LocalSocket.pair()
        try theirs.send([0x61])
        let start = Clock.bootTime
        #expect(code { _ = try mine.receiveLine(limit: 100, within: 0.1) } == ETIMEDOUT)
        #expect(code { _ = try mine.receiveAll(limit: 100, within: 0.1) } == ETIMEDOUT)
        #expect(Clock.bootTime - start >= 0.2)
        withExtendedLifetime(theirs) {}
    }

    @Test func anEndWithinALineIsNoLine() throws {
        let (mine, theirs) = try LocalSocket.pair()
        try theirs.send([0x61])
        theirs.disconnect()
        let received = try mine.receiveLine(limit: 100, within: 5)
        #expect(received == nil)
    }

    @Test func everythingUpToTheEndIsReceived() throws {
        for (count, error) in [(5000, nil), (5001, EMSGSIZE)] as [(Int, CInt?)] {
            let (mine, theirs) = try LocalSocket.pair()
            try theirs.send([UInt8](repeating: 0x61, count: count))
            theirs.disconnect()
            var received: Int?
            let found = code { received = try mine.receiveAll(limit: 5000, within: 5).count }
            #expect(found == error && received == (error == nil ? 5000 : nil))
        }
    }

    /// The first file counts; a later one is closed.
    @Test func oneFileIsReceived() throws {
        let scratch = try Scratch()
        let (mine, theirs) = try LocalSocket.pair()
        try theirs.send([0x61], passing: try OpenFile(try scratch.write("a", "first"), O_RDONLY))
        try theirs.send([0x62, 0x0A], passing: try OpenFile(try scratch.write("b", "second"), O_RDONLY))
        let received = try #require(try mine.receiveLine(limit: 100, within: 5))
        #expect(received.line == [0x61, 0x62])
        #expect(try Files.read(try #require(received.file), limit: 10) == Array("first".utf8))
    }

    @Test func anAbandonedConnectionHasNothingToRead() throws {
        let (mine, theirs) = try LocalSocket.pair()
        #expect(!mine.isAbandoned)
        try theirs.send([0x61])
        #expect(!mine.isAbandoned)
        theirs.disconnect()
        // What was sent before is still there.
        #expect(!mine.isAbandoned)
        let (one, other) = try LocalSocket.pair()
        other.disconnect()
        #expect(one.isAbandoned)
        withExtendedLifetime(theirs) {}
    }

    @Test func sendingNeverWaitsForAReader() throws {
        let (mine, theirs) = try LocalSocket.pair()
        let bytes = [UInt8](repeating: 1, count: 65_536)
        var sent = 0
        while case let count = try mine.sendNow(bytes[...]), count > 0 { sent += count }
        #expect(sent > 0)
        #expect((SocketOutput.unreadBytes(of: mine.descriptor) ?? 0) >= sent)
        theirs.disconnect()
        #expect(throws: SystemError.self) { try mine.sendNow(bytes[...]) }
    }

    @Test func thePeerIsTheUserOfTheOtherEnd() throws {
        let (mine, theirs) = try LocalSocket.pair()
        #expect(try mine.peerUser == geteuid() && theirs.peerUser == geteuid())
    }

    @Test func aPathThatIsTooLongIsAnError() throws {
        let scratch = try Scratch()
        for (count, error) in [(107, ENOENT), (108, ENAMETOOLONG)] as [(Int, CInt)] {
            let path = scratch.path + "/" + String(repeating: "x", count: count - scratch.path.utf8.count - 1)
            #expect(code { _ = try LocalSocket(connectingTo: path) } == error)
        }
    }

    // MARK: lines on the main queue

    /// A longer line comes in pieces of the limit.
    @Test(arguments: [(10, ["0123456789"]), (11, ["0123456789", "0"]), (20, ["0123456789", "0123456789"])])
    @MainActor func aLongLineIsCut(length: Int, pieces: [String]) async throws {
        let ends = try Pipe.make()
        let text = String("01234567890123456789".prefix(length)) + "\n"
        _ = Array(text.utf8).withUnsafeBytes { write(ends.writing, $0.baseAddress, $0.count) }
        close(ends.writing)
        var lines: [String] = []
        var channel: LineChannel?
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            channel = LineChannel(
                input: ends.reading, limit: 10, onLine: { lines.append($0) }, onEnd: { continuation.resume() })
        }
        withExtendedLifetime(channel) {}
        #expect(lines == pieces)
    }
}
