import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@Suite struct ProcessTests {
    private func shell(
        _ script: String, timeLimit: Seconds = 20
    ) async -> (ProcessEnd, out: [String], err: [String]) {
        let (lines, errors, end) = await Program(
            "/bin/sh", ["-c", script], streams: .captured, workingDirectory: "/tmp", timeLimit: timeLimit
        ).run()
        return (end, lines, errors)
    }

    private func worker(
        _ script: String, files: [OpenFile] = [], request: String, timeLimit: Seconds = 20
    ) async -> ([String], ProcessEnd) {
        let (lines, _, end) = await Program(
            "/bin/sh", ["-c", script], streams: .pipes(passing: files), timeLimit: timeLimit
        ).run(Array(request.utf8))
        return (lines, end)
    }

    @Test func outputIsReportedLineByLineAndTheLastLineNeedsNoNewline() async {
        let (end, out, err) = await shell("echo one; echo two >&2; printf three; exit 3")
        #expect(end == .exited(3))
        #expect(out == ["one", "three"])
        #expect(err == ["two"])
    }

    @Test func aProgramThatTakesTooLongIsStoppedWithItsChildren() async {
        let (end, out, _) = await shell("sleep 1000 & echo $!; wait", timeLimit: 3)
        #expect(end == .timedOut)
        let child = pid_t(out.first ?? "") ?? 0
        #expect(child > 0)
        #expect(await eventually { kill(child, 0) != 0 })
    }

    @Test func aProgramThatIgnoresSIGTERMIsStoppedToo() async {
        let (end, _, _) = await shell("trap '' TERM; while :; do sleep 0.1; done", timeLimit: 0.2)
        #expect(end == .timedOut)
    }

    @Test func aDaemonInTheBackgroundDoesNotDelayTheEnd() async {
        // The daemon runs for longer than the time limit: waiting for it would end in a timeout.
        let (end, out, _) = await shell("setsid sleep 60 & echo $!")
        #expect(end == .exited(0))
        let daemon = pid_t(out.first ?? "") ?? 0
        #expect(daemon > 0 && kill(daemon, SIGKILL) == 0, "the daemon still runs")
    }

    @Test func aMissingProgramIsReported() async {
        let end = await Program("/nonexistent", streams: .captured, workingDirectory: "/tmp", timeLimit: 1).run().end
        guard case .couldNotStart(let reason) = end else {
            Issue.record("it started: \(end)")
            return
        }
        #expect(reason.contains("/nonexistent"))
    }

    @Test func aWorkerReadsItsRequestAndItsInputStaysOpen() async {
        let (lines, end) = await worker(
            "read request; echo got $request; read more || echo closed", request: "hello\n", timeLimit: 3)
        #expect(lines == ["got hello"])
        #expect(end == .timedOut)
    }

    @Test func aWorkerReceivesMoreInputWhileItRuns() async {
        let program = Program(
            "/bin/sh", ["-c", "read a; echo got $a; read b; echo got $b"], streams: .pipes(), timeLimit: 20)
        let (lines, _, end) = await program.run(Array("one\n".utf8)) { _, child in child?.send(Array("two\n".utf8)) }
        #expect(end == .exited(0))
        #expect(lines == ["got one", "got two"])
    }

    @Test func aWorkerIsTerminated() async {
        let program = Program("/bin/sh", ["-c", "echo ready; sleep 1000"], streams: .pipes(), timeLimit: 60)
        let (lines, _, end) = await program.run(Array("\n".utf8)) { _, child in child?.terminate() }
        #expect(lines == ["ready"])
        #expect(end == .signalled(SIGTERM))
    }

    @Test func aWorkerMayEndBeforeItReadsItsRequest() async {
        let end = await worker("exit 1", request: String(repeating: "A", count: 1 << 20)).1
        #expect(end == .exited(1))
    }

    /// The request and the reports are longer than a pipe holds. Neither side may block the other.
    @Test func aLongRequestAndLongReportsDoNotBlockEachOther() async {
        let request = String(repeating: String(repeating: "x", count: 999) + "\n", count: 1000)
        let (lines, end) = await worker("head -n 1000 | tee /dev/null", request: request, timeLimit: 60)
        #expect(end == .exited(0))
        #expect(lines.count == 1000 && lines.allSatisfy { $0.count == 999 })
    }

    @Test func aWorkerThatIgnoresSIGTERMIsKilled() async {
        let end = await worker(
            "trap '' TERM; echo x; while :; do sleep 0.1; done", request: "\n", timeLimit: 0.5
        ).1
        #expect(end == .timedOut)
    }

    /// One SIGCHLD may stand for several ended processes, and it may arrive before the process has been registered.
    @Test func theEndsOfManyShortProcessesAreAllReported() async {
        let ends = await withTaskGroup(of: ProcessEnd.self) { group in
            for number in 0..<100 { group.addTask { await shell("exit \(number)").0 } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(ends) == Set((0..<100).map { ProcessEnd.exited($0) }))
    }

    /// Standard input and output are one socket, over which a file is passed (unix(7)).
    @Test func aFileIsPassedOverASocket() async throws {
        let scratch = try Scratch()
        let passed = try OpenFile(try scratch.write("passed", "over"), O_RDONLY)
        let script = """
            import array, os, socket
            s = socket.socket(fileno=0)
            line, fds, _, _ = socket.recv_fds(s, 100, 4)
            s.sendall(line + os.read(fds[0], 100) + b"\\n")
            """
        let (lines, _, end) = await Program(
            "python3", ["-c", script], streams: .socket(passing: passed), timeLimit: 20
        ).run(Array("hello\n".utf8))
        #expect(lines == ["hello", "over"])
        #expect(end == .exited(0))
    }

    /// A worker does not inherit the open descriptors, the ignored signals and the blocked signals of this process.
    @Test func aWorkerInheritsNothing() async throws {
        let scratch = try Scratch()
        let open = try OpenFile(try scratch.write("secret", "x"), O_RDONLY)
        _ = fcntl(open.descriptor, F_SETFD, 0)
        signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, SIG_DFL) }
        let passed = try OpenFile(try scratch.write("passed", "over\n"), O_RDONLY)
        let (lines, end) = await worker(
            "cat <&3; ls /proc/self/fd; grep SigBlk /proc/self/status; kill -USR1 $$", files: [passed], request: "\n")
        // Descriptor 4 is the directory that ls reads.
        #expect(lines == ["over", "0", "1", "2", "3", "4", "SigBlk:\t0000000000000000"])
        #expect(end == .signalled(SIGUSR1))
    }

    @Test func aSignalCanStayIgnored() async {
        signal(SIGUSR2, SIG_IGN)
        defer { signal(SIGUSR2, SIG_DFL) }
        var program = Program("/bin/sh", ["-c", "kill -USR2 $$; echo alive"], streams: .captured, timeLimit: 20)
        let reset = await program.run()
        #expect(reset.end == .signalled(SIGUSR2) && reset.lines.isEmpty)
        program.ignoredSignals = [SIGUSR2]
        let ignoring = await program.run()
        #expect(ignoring.end == .exited(0) && ignoring.lines == ["alive"])
    }

    /// The other end writes and closes before anything is read: Dispatch reports the hang-up once, and nothing is lost.
    @Test(arguments: [1, 4096, 20_000]) @MainActor func aHangUpWithTheLastBytesIsSeen(length: Int) async throws {
        let (mine, theirs) = try LocalSocket.pair()
        let text = String(repeating: "x", count: length)
        try theirs.send(Array("\(text)\nlast".utf8))
        shutdown(theirs.descriptor, CInt(SHUT_RDWR))
        var lines: [String] = []
        let hasEnded: Bool = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
            let copy = fcntl(mine.descriptor, F_DUPFD_CLOEXEC, 3)
            var channel: LineChannel?
            var isResumed = false
            @MainActor func end(_ hasEnded: Bool) {
                guard !isResumed else { return }
                isResumed = true
                channel?.close()
                continuation.resume(returning: hasEnded)
            }
            channel = LineChannel(input: copy, output: copy, onLine: { lines.append($0) }, onEnd: { end(true) })
            MainQueue.after(20) { end(false) }
        }
        #expect(hasEnded)
        #expect(lines == [text, "last"])
    }

    @Test func aWorkerThatCannotBeStartedIsReported() async {
        let (lines, _, end) = await Program("/nonexistent/worker", streams: .pipes(), timeLimit: 5).run([0x0A])
        #expect(lines.isEmpty)
        #expect(end == .couldNotStart("cannot start /nonexistent/worker: No such file or directory"))
    }
}
