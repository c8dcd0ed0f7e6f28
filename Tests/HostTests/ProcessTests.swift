import Glibc
import Host
import Synchronization
import TestSupport
import Testing
import UpdateCore

@Suite struct ProcessTests {
    init() { ProcessGuard.ignoreBrokenPipes() }

    private final class Output: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    private func shell(
        _ script: String, timeLimit: Duration = .seconds(20)
    ) async -> (ProcessEnd, out: [String], err: [String]) {
        let output = Output()
        let errors = Output()
        let end = await Program("/bin/sh", ["-c", script], workingDirectory: "/tmp", timeLimit: timeLimit)
            .run(onOutput: { output.add($0) }, onError: { errors.add($0) })
        return (end, output.all, errors.all)
    }

    @Test func outputComesLineByLineAndTheLastLineNeedsNoEnd() async {
        let (end, out, err) = await shell("echo one; echo two >&2; printf three; exit 3")
        #expect(end == .exited(3))
        #expect(out == ["one", "three"])
        #expect(err == ["two"])
    }

    @Test func aProgramThatTakesTooLongIsStoppedWithWhatItStarted() async {
        let (end, out, _) = await shell("sleep 1000 & echo $!; wait", timeLimit: .seconds(3))
        #expect(end == .timedOut)
        let child = pid_t(out.first ?? "") ?? 0
        #expect(child > 0)
        #expect(await eventually { kill(child, 0) != 0 })
    }

    @Test func aProgramThatIgnoresSIGTERMIsStoppedToo() async {
        let (end, _, _) = await shell("trap '' TERM; while :; do sleep 0.1; done", timeLimit: .milliseconds(200))
        #expect(end == .timedOut)
    }

    @Test func aDaemonLeftBehindDoesNotHoldItsStarterUp() async {
        // Whoever waited for it would find it gone.
        let (end, out, _) = await shell("setsid sleep 60 & echo $!")
        #expect(end == .exited(0))
        let daemon = pid_t(out.first ?? "") ?? 0
        #expect(daemon > 0 && kill(daemon, SIGKILL) == 0, "it is left alone")
    }

    @Test func aMissingProgramIsSaidToBeMissing() async {
        let end = await Program("/nonexistent", [], workingDirectory: "/tmp", timeLimit: .seconds(1))
            .run(onOutput: { _ in }, onError: { _ in })
        guard case .couldNotStart(let reason) = end else {
            Issue.record("it started: \(end)")
            return
        }
        #expect(reason.contains("/nonexistent"))
    }

    @Test func aWorkerReadsItsRequestAndItsInputStaysOpen() async {
        var lines: [String] = []
        let worker = Worker(
            "/bin/sh", ["-c", "read request; echo got $request; read more || echo closed"],
            timeLimit: .seconds(3))
        let end = await worker.run(Array("hello\n".utf8)) { lines.append($0) }
        #expect(lines == ["got hello"])
        #expect(end == .timedOut)
    }

    /// The agent's state is touched by what a worker says: on its own queue, or it is a race.
    @MainActor @Test func linesComeOnTheCallersActor() async {
        var count = 0
        let end = await Worker(
            "/bin/sh", ["-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done"], timeLimit: .seconds(20)
        )
        .run([0x0A]) { _ in
            MainActor.assertIsolated()
            count += 1
        }
        #expect(end == .exited(0))
        #expect(count == 5)
    }

    @Test func aWorkerIsToldMoreWhileItWorks() async {
        let (messages, continuation) = AsyncStream<[UInt8]>.makeStream()
        var lines: [String] = []
        let worker = Worker(
            "/bin/sh", ["-c", "read a; echo got $a; read b; echo got $b"], timeLimit: .seconds(20))
        let end = await worker.run(Array("one\n".utf8), messages: messages) { line in
            lines.append(line)
            continuation.yield(Array("two\n".utf8))
        }
        #expect(end == .exited(0))
        #expect(lines == ["got one", "got two"])
    }

    @Test func aWorkerThatDiesBeforeReadingIsNoTrouble() async {
        let end = await Worker("/bin/false", timeLimit: .seconds(10)).run([UInt8](repeating: 65, count: 1 << 20)) { _ in
        }
        #expect(end == .exited(1))
    }
}
