import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What a state of a module has started ends with that state, whatever it has done to get away.
@Suite struct LeftBehindTests {
    private func device(_ script: String, install: String = "") async throws -> InstallerDevice {
        let device = try await InstallerDevice(
            install: "module = \"leaving\"\nmoduleDirectories = [\"@ROOT@/modules\"]\n\(install)")
        try device.scratch.write("artifact-file", "x")
        let root = device.scratch.path
        try device.scratch.write(
            "modules/leaving",
            """
            #!/bin/sh
            export ROOT=\(root)
            size() { wc -l <\(root)/writes 2>/dev/null || echo 0; }
            # The sizes of the file before and after a time in which a process that still ran would write to it.
            if [ "$1" = ArtifactRollback ]; then size >\(root)/before; sleep 0.5; size >\(root)/after; fi
            if [ "$1" = SupportsRollback ]; then echo Yes; fi
            \(script.replacing("@ROOT@", with: root))
            """, mode: 0o755)
        return device
    }

    private static let writer = "while echo x >>@ROOT@/writes; do sleep 0.02; done 2>/dev/null"

    /// Ways to get away from the session, the group, the environment and the parent.
    private static let ways = [
        "\(writer) &",
        "setsid env -i sh -c '\(writer)' &",
        "(setsid sh -c '(setsid env -i sh -c \"\(writer)\" &) &' &)",
        "setsid env -i sh -c 'trap \"\" TERM HUP INT; \(writer)' </dev/null >/dev/null 2>&1 &",
        // Each of them starts two more, in sessions of their own.
        "cat >@ROOT@/many <<'X'\n[ \"$1\" -gt 0 ] || exec sleep 100\nsetsid sh $0 $(($1-1)) & setsid sh $0 $(($1-1)) & \(writer)\nX\nsetsid env -i sh @ROOT@/many 5 &",
        // A process that is always another one.
        "printf 'echo x >>@ROOT@/writes\\nsh $0 &' >@ROOT@/next; setsid env -i sh @ROOT@/next &",
    ]

    @Test(arguments: ways) func nothingWritesDuringTheRollback(way: String) async throws {
        let device = try await device(
            """
            [ "$1" = ArtifactInstall ] || exit 0
            \(way)
            until [ -s @ROOT@/writes ]; do sleep 0.01; done
            echo 'it does not work' >&2
            exit 1
            """)
        let run = await device.run(.install(try await device.job(1, version: 2, artifact: "artifact-file")))
        #expect(run.result == .rolledBack("leaving failed in ArtifactInstall: it does not work", code: .moduleFailed))
        let (before, after) = (try device.scratch.read("before"), try device.scratch.read("after"))
        #expect(before != "0\n" && before == after, "\(run.output)")
        #expect(
            run.output.contains {
                $0.hasPrefix("ArtifactInstall of leaving left process ") && $0.contains("systemd-run or a unit")
            }, "\(run.output)")
    }

    @Test func theSameAfterTheTimeLimit() async throws {
        let device = try await device(
            """
            [ "$1" = ArtifactInstall ] || exit 0
            setsid env -i sh -c 'trap "" TERM; \(Self.writer)' &
            sleep 1000
            """, install: "timeouts = { ArtifactInstall = 1 }")
        let run = await device.run(.install(try await device.job(1, version: 2, artifact: "artifact-file")))
        #expect(
            run.result
                == .rolledBack(
                    "leaving failed in ArtifactInstall: it took too long and was stopped", code: .moduleFailed))
        let (before, after) = (try device.scratch.read("before"), try device.scratch.read("after"))
        #expect(before != "0\n" && before == after, "\(run.output)")
    }

    /// Each process is named once, with its command line; the ends of short processes are not.
    @Test func aDaemonIsNamedOnce() async throws {
        let device = try await device(
            """
            case "$1" in
                ArtifactInstall) sh -c 'sleep 0.01 & sleep 0.02 &'; setsid sleep 1234 & echo VERSION_CODE=2 >@ROOT@/version ;;
            esac
            """)
        let run = await device.run(.install(try await device.job(1, version: 2, artifact: "artifact-file")))
        #expect(run.result == .committed)
        let named = run.output.filter { $0.contains(" left ") }
        #expect(named.count == 1 && named.first?.contains("(sleep 1234)") == true, "\(run.output)")
    }

    // MARK: exit status 75

    @Test(arguments: ["Download", "ArtifactInstall", "ArtifactReboot", "ArtifactVerifyReboot", "ArtifactCommit"])
    func aTemporaryFailureCountsNothing(state: String) async throws {
        let device = try await device(
            """
            [ "$1" != NeedsArtifactReboot ] || echo Yes
            [ "$1" != ArtifactInstall ] || echo VERSION_CODE=2 >@ROOT@/version
            [ "$1" != ArtifactRollback ] || echo VERSION_CODE=1 >@ROOT@/version
            [ "$1" != \(state) ] || { echo 'the lock is held' >&2; exit 75; }
            """, install: "attempts = 1")
        // Everything happens in one boot.
        try device.scratch.write("modules/leaving.peripheral", "")
        for id in 1...3 as ClosedRange<InstallID> {
            let run = await device.run(.install(try await device.job(id, version: 2, artifact: "artifact-file")))
            #expect(run.result == .interrupted("leaving failed in \(state): the lock is held", code: .moduleBusy))
            #expect(run.states.contains("ArtifactRollback") == (state != "Download"))
        }
    }

    /// A rollback that cannot get a lock is tried again, because the version that runs is not to stay.
    @Test func aRollbackThatFailsWith75IsTriedAgain() async throws {
        let device = try await device(
            """
            case "$1" in
                ArtifactInstall) exit 1 ;;
                ArtifactRollback) [ -e @ROOT@/free ] || { echo 'the lock is held' >&2; exit 75; } ;;
            esac
            """)
        let run = await device.run(.install(try await device.job(1, version: 2, artifact: "artifact-file")))
        #expect(
            run.result == .lost("the rollback is tried again: leaving failed in ArtifactRollback: the lock is held"))
        try device.scratch.write("free", "")
        let again = await device.run(.resume(1))
        #expect(again.result == .rolledBack("leaving failed in ArtifactInstall: exit status 1", code: .moduleFailed))
    }

    // MARK: stopping

    /// Starts an installation, and tells the installer to stop when the module is in ArtifactInstall.
    private func stop(
        _ device: InstallerDevice, ready: String = "pid"
    ) async throws -> (result: InstallResult, output: [String], seconds: Seconds) {
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        async let run = device.run(.install(job))
        #expect(await eventually { device.scratch.exists(ready) })
        let installer = try #require(pid_t(try device.scratch.read("pid").filter(\.isNumber)))
        let start = Clock.bootTime
        kill(installer, SIGTERM)
        let (result, _, output) = await run
        return (result, output, Clock.bootTime - start)
    }

    @Test func aRunningStateEndsWithinSeconds() async throws {
        let device = try await device(
            """
            [ "$1" = ArtifactInstall ] || exit 0
            trap '' TERM
            setsid env -i sh -c 'trap "" TERM; \(Self.writer)' &
            echo $PPID >@ROOT@/pid.new; mv @ROOT@/pid.new @ROOT@/pid
            while :; do sleep 1; done
            """)
        let (result, output, seconds) = try await stop(device)
        #expect(seconds < 30, "\(output)")
        #expect(output.contains("the installer stops, and ends ArtifactInstall of leaving"))
        guard case .lost(let reason) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(reason.contains("it was told to stop"))
        let size = try device.scratch.read("writes").count
        #expect(await eventually(within: 0.3) { (try? device.scratch.read("writes").count) != size } == false)
    }

    /// The module declares that it must not be interrupted; the state ends by itself when the test says so.
    private func uninterruptible(_ script: String) async throws -> InstallerDevice {
        let device = try await device(
            """
            [ "$1" = ArtifactInstall ] || exit 0
            echo $PPID >@ROOT@/pid.new; mv @ROOT@/pid.new @ROOT@/pid
            \(script)
            until [ -e @ROOT@/go ]; do sleep 0.02; done
            echo VERSION_CODE=2 >@ROOT@/version; touch @ROOT@/installed
            """)
        try device.scratch.write("modules/leaving.uninterruptible", "")
        return device
    }

    @Test func aModuleThatMustNotBeInterruptedIsWaitedFor() async throws {
        let device = try await uninterruptible("")
        async let stopped = stop(device)
        #expect(await eventually { device.scratch.exists("pid") })
        // Longer than the time in which a state is ended.
        #expect(await eventually(within: 5) { device.scratch.exists("installed") } == false)
        try device.scratch.write("go", "")
        let (_, output, _) = try await stopped
        #expect(device.scratch.exists("installed"))
        #expect(
            output.contains("the installer stops after ArtifactInstall, because leaving must not be interrupted"),
            "\(output)")
        // The state is done, so the next installer begins with the next one.
        let next = await device.run(.resume(1))
        #expect(next.result == .committed && !next.states.contains("ArtifactInstall"), "\(next)")
    }

    @Test func itIsNotWhileItWaits() async throws {
        let device = try await uninterruptible("touch tmp/waiting")
        let (_, _, seconds) = try await stop(device)
        #expect(seconds < 30 && !device.scratch.exists("installed"))
    }
}
