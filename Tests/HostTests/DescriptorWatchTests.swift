import Glibc
import Host
import TestSupport
import Testing

/// Descriptors of a real kernel, watched on the real main queue.
@Suite @MainActor struct DescriptorWatchTests {
    /// Many descriptors are hung up while others begin and end to be watched, and each handler reads one byte. A hang-up that
    /// Dispatch sees itself is reported once, and its bookkeeping then crashes the process now and then.
    @Test(.timeLimit(.minutes(2))) func aHangUpIsReportedUntilTheEndIsRead() async {
        let chains = 16
        var ended = 0
        var bytesRead = 0
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            @MainActor func next(_ left: Int) {
                guard left > 0, let ends = try? Pipe.make() else {
                    ended += 1
                    if ended == chains { continuation.resume() }
                    return
                }
                let watch = DescriptorWatch(ends.reading) {
                    close(ends.reading)
                    next(left - 1)
                }
                watch.whenReadable {
                    var byte: UInt8 = 0
                    let count = read(ends.reading, &byte, 1)
                    if count > 0 { bytesRead += count } else { watch.cancel() }
                }
                _ = write(ends.writing, "xyz", 3)
                close(ends.writing)
            }
            for _ in 0..<chains { next(500) }
        }
        #expect(bytesRead == chains * 500 * 3)
    }

    /// A file cannot be watched by epoll(7); a job may come from one, or from /dev/null.
    @Test(.timeLimit(.minutes(2)), arguments: [0, 3, 100_000]) func aFileIsReadToItsEnd(length: Int) async throws {
        let scratch = try Scratch()
        let text = String(repeating: "x", count: length)
        let file = try OpenFile(length == 0 ? "/dev/null" : try scratch.write("job", text), O_RDONLY)
        let copy = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 3)
        var lines: [String] = []
        var channel: LineChannel?
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            channel = LineChannel(input: copy, onLine: { lines.append($0) }, onEnd: { continuation.resume() })
        }
        withExtendedLifetime(channel) {}
        #expect(lines == (length == 0 ? [] : [text]))
    }
}
