import Glibc
import TestSupport
import Testing
import UpdateCore

@testable import Host

/// How processes are started, found and ended.
@Suite struct ProcessRuleTests {
    @Test func aWaitStatusIsTakenApart() {
        // The exit status is the second byte, the signal the low seven bits; 0x80 says that there is a core file (wait(2)).
        #expect(ProcessEnd(waitStatus: 0) == .exited(0) && ProcessEnd(waitStatus: 0).succeeded)
        #expect(ProcessEnd(waitStatus: 0x0300) == .exited(3) && ProcessEnd(waitStatus: 0xFF00) == .exited(255))
        #expect(ProcessEnd(waitStatus: 9) == .signalled(9) && ProcessEnd(waitStatus: 0x86) == .signalled(6))
        #expect(
            !ProcessEnd(waitStatus: 0x0100).succeeded && !ProcessEnd.signalled(0).succeeded
                && !ProcessEnd.timedOut.succeeded)
    }

    @Test func aProgramIsRunInItsDirectoryWithItsMark() async throws {
        let scratch = try Scratch()
        let mark = ProcessMark(name: "UPGRADELINK_TEST_MARK", value: "a b")
        let program = Program(
            "/bin/sh", ["-c", "pwd -P; echo $UPGRADELINK_TEST_MARK; cat; echo \"$0 $1\"", "x", "y z"],
            streams: .captured,
            workingDirectory: scratch.path, mark: mark, timeLimit: 20)
        #expect(await program.run().lines == [Files.resolved(scratch.path), "a b", "x y z"])
    }

    @Test func aMarkReplacesAVariableOfItsName() {
        let entries = Environment.entries(adding: ProcessMark(name: "PATH", value: "x"))
        #expect(entries.filter { $0.hasPrefix("PATH=") } == ["PATH=x"])
        #expect(entries.count == Environment.current.count)
    }

    /// Only the processes with exactly this mark are ended, and with all that they have started.
    @Test func theProcessesOfAMarkAreEnded() async throws {
        func start(_ value: String) async throws -> pid_t {
            let program = Program(
                "/bin/sh", ["-c", "setsid sleep 300 & echo $!"], streams: .captured,
                mark: ProcessMark(name: "UPGRADELINK_TEST_MARK", value: value), timeLimit: 20)
            return try #require(pid_t(await program.run().lines.first ?? ""))
        }
        let name = "\(UInt64.random(in: 0 ... .max))"
        let (one, other) = (try await start(name), try await start(name + "x"))
        defer { kill(other, SIGKILL) }
        #expect(await eventually { (try? Files.read("/proc/\(one)/comm", limit: 64)) == Array("sleep\n".utf8) })
        let found = await OwnThread.run { ProcessMark(name: "UPGRADELINK_TEST_MARK", value: name).endProcesses() }
        #expect(found == ["process \(one) (sleep 300)"])
        #expect(await eventually { AgentProcess.hasEnded(one) })
        #expect(!AgentProcess.hasEnded(other))
    }

    @Test func theTableHasThisProcessAndItsRelatives() async throws {
        let (lines, _, _) = await Program(
            "/bin/sh", ["-c", "sleep 0; echo $$; cut -d' ' -f4,5 /proc/$$/stat"], streams: .captured, timeLimit: 20
        )
        .run()
        let shell = try #require(lines.first)
        // It led its own session and group, and was a child of this process.
        #expect(lines.last == "\(getpid()) \(shell)")
        let table = ProcessTable()
        let own = try #require(table.entries[getpid()])
        #expect(own.parent == getppid() && own.group == getpgrp() && !own.hasEnded)
        #expect(table.lineage(of: getpid()).isSuperset(of: [getpid(), getppid()]))
        #expect(!table.descendants(of: getppid()).contains { $0.pid == getppid() })
        #expect(table.descendants(of: getppid()).contains { $0.pid == getpid() })
        #expect(!table.descendants(of: getppid(), without: [getpid()]).contains { $0.pid == getpid() })
        // A group that others are in, too, is not signalled as a whole.
        #expect(!table.groups(of: [own]).contains(1))
        #expect(table.groups(of: Array(table.entries.values)).contains(own.group))
    }

    /// The name is between parentheses in /proc (proc_pid_stat(5)).
    @Test func aNameWithParenthesesDoesNotConfuseTheTable() async throws {
        let scratch = try Scratch()
        let script = """
            cp /bin/sleep "$1/x) Z 1"
            "$1/x) Z 1" 100 &
            echo $$ $! >"$1/new" && mv "$1/new" "$1/pids" && wait
            """
        let program = Program("/bin/sh", ["-c", script, "sh", scratch.path], streams: .captured, timeLimit: 60)
        let running = Task { await program.run() }
        #expect(await eventually(within: 60) { scratch.exists("pids") })
        let ids = try scratch.read("pids").split(whereSeparator: \.isWhitespace).compactMap { pid_t($0) }
        try #require(ids.count == 2)
        // The name is the new one after execve(2) only.
        #expect(
            await eventually {
                (try? Files.read("/proc/\(ids[1])/comm", limit: 64)).map { String(decoding: $0, as: UTF8.self) }
                    == "x) Z 1\n"
            })
        let entry = try #require(ProcessTable().entries[ids[1]])
        #expect(entry.parent == ids[0] && entry.group == ids[0] && !entry.hasEnded)
        kill(ids[1], SIGKILL)
        _ = await running.value
    }

    // MARK: waiting for a program

    @Test func aProgramIsWaitedForAndItsErrorsAreLines() async {
        let (end, lines) = await OwnThread.run { () -> (ProcessEnd, [String]) in
            var lines: [String] = []
            let program = Program(
                "/bin/sh", ["-c", "echo one >&2; printf 'two\\n\\nthree' >&2; exit 7"], streams: .errors, timeLimit: nil
            )
            return (program.runAndWait { lines.append($0) }, lines)
        }
        #expect(end == .exited(7) && lines == ["one", "two", "", "three"])
        let missing = await OwnThread.run {
            Program("/nonexistent", streams: .errors, timeLimit: nil).runAndWait { _ in }
        }
        #expect(missing == .couldNotStart("cannot start /nonexistent: No such file or directory"))
        let killed = await OwnThread.run {
            Program("/bin/sh", ["-c", "kill -9 $$"], streams: .errors, timeLimit: nil).runAndWait { _ in }
        }
        #expect(killed == .signalled(SIGKILL))
    }

    /// A line of an update module that never ends is cut.
    @Test func aLongLineOfErrorsIsCut() async {
        let lengths = await OwnThread.run { () -> [Int] in
            var lengths: [Int] = []
            let program = Program(
                "/bin/sh", ["-c", "head -c 600000 /dev/zero | tr '\\0' x >&2"], streams: .errors, timeLimit: nil)
            _ = program.runAndWait { lengths.append($0.utf8.count) }
            return lengths
        }
        #expect(lengths == [524_288, 75_712])
    }

    // MARK: groups

    @Test func onlyMembersAreInAGroup() {
        #expect(
            Groups.contains(uid: 0, groups: nil, name: "root") && Groups.contains(uid: 0, groups: [5, 0], name: "root"))
        #expect(
            !Groups.contains(uid: 0, groups: [5], name: "root") && !Groups.contains(uid: 0, groups: [], name: "root"))
        #expect(!Groups.contains(uid: 65_534, groups: nil, name: "root"))
        #expect(!Groups.contains(uid: 0, groups: nil, name: "no-such-group"))
        #expect(!Groups.contains(uid: .max, groups: nil, name: "root"))
    }
}
