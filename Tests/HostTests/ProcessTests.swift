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
        let worker = Worker(
            "/bin/sh", ["-c", "read request; echo got $request; read more || echo closed"], timeLimit: 3)
        let (lines, end) = await worker.runAside(Array("hello\n".utf8))
        #expect(lines == ["got hello"])
        #expect(end == .timedOut)
    }

    @Test func aWorkerIsToldMoreWhileItWorks() async {
        let (lines, end) = await OwnThread.run { () -> ([String], ProcessEnd?) in
            guard let loop = try? EventLoop() else { return ([], nil) }
            var lines: [String] = []
            var end: ProcessEnd?
            var running: RunningWorker?
            running = Worker("/bin/sh", ["-c", "read a; echo got $a; read b; echo got $b"], timeLimit: 20).start(
                on: loop, Array("one\n".utf8),
                onLine: { line in
                    lines.append(line)
                    running?.tell(Array("two\n".utf8))
                }, onEnd: { end = $0 })
            loop.run(while: { end == nil })
            return (lines, end)
        }
        #expect(end == .exited(0))
        #expect(lines == ["got one", "got two"])
    }

    @Test func aWorkerThatDiesBeforeReadingIsNoTrouble() async {
        let end = await Worker("/bin/false", timeLimit: 10).runAside([UInt8](repeating: 65, count: 1 << 20)).end
        #expect(end == .exited(1))
    }

    /// More than a pipe holds goes in while as much comes out: neither side waits for the other for ever.
    @Test func aLongRequestAndLongReportsDoNotWaitForEachOther() async {
        let request = Array(repeating: Array(String(repeating: "x", count: 999).utf8) + [0x0A], count: 1000).joined()
        let worker = Worker("/bin/sh", ["-c", "head -n 1000 | tee /dev/null"], timeLimit: 60)
        let (lines, end) = await worker.runAside(Array(request))
        #expect(end == .exited(0))
        #expect(lines.count == 1000 && lines.allSatisfy { $0.count == 999 })
    }

    @Test func aWorkerThatHeedsNoSignalIsEndedAllTheSame() async {
        let end = await Worker(
            "/bin/sh", ["-c", "trap '' TERM; echo x; while :; do sleep 0.1; done"], timeLimit: 0.5
        ).runAside([0x0A]).end
        #expect(end == .timedOut)
    }

    /// What this process has open, ignores or blocks is none of a worker's business.
    @Test func aWorkerInheritsNothing() async throws {
        let scratch = try Scratch()
        let open = try OpenFile(try scratch.write("secret", "x"), O_RDONLY)
        _ = fcntl(open.descriptor, F_SETFD, 0)
        signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, SIG_DFL) }
        let handed = try OpenFile(try scratch.write("handed", "over\n"), O_RDONLY)
        let worker = Worker(
            "/bin/sh", ["-c", "cat <&3; ls /proc/self/fd; grep SigBlk /proc/self/status; kill -USR1 $$"],
            line: .pipes(handing: [handed]), timeLimit: 20)
        let (lines, end) = await worker.runAside([0x0A])
        // Of ls: 4 is the folder that it reads.
        #expect(lines == ["over", "0", "1", "2", "3", "4", "SigBlk:\t0000000000000000"])
        #expect(end == .signalled(SIGUSR1))
    }

    @Test func whatCannotBeStartedIsSaid() async {
        let (lines, end) = await Worker("/nonexistent/worker", timeLimit: 5).runAside([0x0A])
        #expect(lines.isEmpty)
        #expect(
            end == .couldNotStart("/nonexistent/worker: cannot start /nonexistent/worker: No such file or directory"))
    }
}
