import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// Timers and watches on the real main queue.
@Suite(.timeLimit(.minutes(1))) @MainActor struct MainQueueTests {
    /// Lets the main queue work for a moment.
    private func turn(_ seconds: Seconds = 0.05) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            MainQueue.after(seconds) { continuation.resume() }
        }
    }

    @Test func aTimerFiresOnceForTheLastSchedule() async {
        var calls = 0
        let timer = Host.Timer { calls += 1 }
        await turn()
        #expect(calls == 0, "it is not scheduled")
        timer.schedule(after: 0.001)
        timer.schedule(after: 3600)
        await turn()
        #expect(calls == 0)
        for seconds in [-1e12, 0.001] {
            calls = 0
            timer.schedule(after: 3600)
            timer.schedule(after: seconds)
            await turn()
            #expect(calls == 1)
        }
        timer.schedule(after: .infinity)
        await turn()
        #expect(calls == 1)
        timer.cancel()
    }

    @Test func aTimerCanBeDisarmedAndScheduledAgain() async {
        var calls = 0
        let timer = Host.Timer(after: 0.01) { calls += 1 }
        timer.disarm()
        await turn()
        #expect(calls == 0)
        timer.schedule(after: 0)
        await turn()
        #expect(calls == 1)
        timer.schedule(after: 0.01)
        timer.cancel()
        await turn()
        #expect(calls == 1)
    }

    @Test func aCancelledTimerReleasesWhatItsHandlerHolds() async {
        final class Held {}
        weak var held: Held?
        let timer: Host.Timer
        do {
            let object = Held()
            held = object
            timer = Host.Timer { withExtendedLifetime(object) {} }
        }
        #expect(held != nil)
        timer.cancel()
        await turn()
        #expect(held == nil)
    }

    @Test func whatIsDoneSoonFollowsTheCurrentHandler() async {
        var order: [Int] = []
        MainQueue.soon { order.append(2) }
        MainQueue.soon { order.append(3) }
        order.append(1)
        await turn()
        #expect(order == [1, 2, 3])
    }

    // MARK: descriptors

    @Test func aWatchIsReleasedOnceAfterItsEnd() async throws {
        let ends = try Pipe.make()
        defer { close(ends.writing) }
        var released = 0
        var calls = 0
        let watch = DescriptorWatch(ends.reading) {
            close(ends.reading)
            released += 1
        }
        watch.whenReadable { calls += 1 }
        #expect(write(ends.writing, "x", 1) == 1)
        await turn()
        #expect(calls > 0, "as long as there is input")
        watch.whenReadable(nil)
        let before = calls
        await turn()
        #expect(calls == before && released == 0)
        watch.cancel()
        #expect(released == 0, "the queue still watches it")
        watch.whenReadable { calls += 1 }
        watch.cancel()
        await turn()
        #expect(released == 1 && calls == before)
    }

    @Test func aPipeWithSpaceIsWritable() async throws {
        let ends = try Pipe.make()
        defer { close(ends.reading) }
        var readable = 0
        var writable = 0
        let watch = DescriptorWatch(ends.writing) { close(ends.writing) }
        watch.whenReadable { readable += 1 }
        #expect(!watch.isWatchingForWriting)
        watch.whenWritable { writable += 1 }
        #expect(watch.isWatchingForWriting)
        await turn()
        #expect(writable > 0 && readable == 0)
        watch.whenWritable(nil)
        let before = writable
        #expect(!watch.isWatchingForWriting)
        await turn()
        #expect(writable == before)
        watch.cancel()
        await turn()
    }

    @Test func inputAloneDoesNotMakeADescriptorWritable() async throws {
        let (mine, theirs) = try LocalSocket.pair()
        let copy = fcntl(mine.descriptor, F_DUPFD_CLOEXEC, 3)
        _ = fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK)
        let bytes = [UInt8](repeating: 0, count: 65_536)
        while send(copy, bytes, bytes.count, CInt(MSG_NOSIGNAL)) > 0 {}
        var readable = 0
        var writable = 0
        let watch = DescriptorWatch(copy) { close(copy) }
        watch.whenReadable { readable += 1 }
        watch.whenWritable { writable += 1 }
        await turn()
        #expect(readable == 0 && writable == 0)
        try theirs.send([1])
        await turn()
        #expect(readable > 0 && writable == 0)
        watch.cancel()
        await turn()
    }

    /// The kernel does not watch a file: it is asked for again and again, and at most once in 10 ms, however long the test takes.
    @Test func aFileIsAlwaysReadable() async throws {
        let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
        var calls = 0
        let watch = DescriptorWatch(file) { close(file) }
        let clock = ContinuousClock()
        let start = clock.now
        watch.whenReadable { calls += 1 }
        while calls < 5 { await turn() }
        let possible = Int((clock.now - start) / .milliseconds(10))
        #expect(calls <= possible)
        watch.whenReadable(nil)
        let before = calls
        await turn()
        #expect(calls == before)
        watch.cancel()
        await turn()
    }
}
