import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import InstallerProgram

/// The sequence of a module's states, which the module records: each row is one of Mender's state machine tests, with the
/// sequence that the protocol prescribes.
@Suite struct ProtocolTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var reboot = "Yes"
        var rollback = "Yes"
        /// The state the module fails in, each time.
        var fails: String?
        /// The state in which the installer is killed, once.
        var killed: String?
        /// What the device reports after ArtifactInstall.
        var version = 2
        var chain: String
        var result: Result

        enum Result { case committed, rolledBack, failed }

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(
            name: "normal, no reboot, no rollback", reboot: "No", rollback: "No",
            chain: "Download Install Commit Cleanup", result: .committed),
        Row(
            name: "normal, no rollback", rollback: "No", chain: "Download Install Reboot VerifyReboot Commit Cleanup",
            result: .committed),
        Row(name: "normal", chain: "Download Install Reboot VerifyReboot Commit Cleanup", result: .committed),
        Row(
            name: "empty output means no", reboot: "", rollback: "", fails: "ArtifactCommit",
            chain: "Download Install Commit Failure Cleanup", result: .failed),
        Row(name: "error in Download", fails: "Download", chain: "Download Cleanup", result: .rolledBack),
        Row(name: "killed in Download", killed: "Download", chain: "Download Cleanup", result: .rolledBack),
        Row(
            name: "error in Install, no rollback", rollback: "No", fails: "ArtifactInstall",
            chain: "Download Install Failure Cleanup", result: .failed),
        Row(
            name: "killed in Install, no rollback", rollback: "No", killed: "ArtifactInstall",
            chain: "Download Install Failure Cleanup", result: .failed),
        Row(
            name: "error in Install", fails: "ArtifactInstall",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup", result: .rolledBack),
        Row(
            name: "killed in Install", killed: "ArtifactInstall",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup", result: .rolledBack),
        Row(
            name: "error in Install, no reboot", reboot: "No", fails: "ArtifactInstall",
            chain: "Download Install Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "error in Reboot", fails: "ArtifactReboot",
            chain: "Download Install Reboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in Reboot", killed: "ArtifactReboot",
            chain: "Download Install Reboot VerifyReboot Commit Cleanup", result: .committed),
        Row(
            name: "error in VerifyReboot", fails: "ArtifactVerifyReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in VerifyReboot", killed: "ArtifactVerifyReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Commit", fails: "ArtifactCommit",
            chain:
                "Download Install Reboot VerifyReboot Commit Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in Commit", killed: "ArtifactCommit",
            chain:
                "Download Install Reboot VerifyReboot Commit Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Commit, no reboot", reboot: "No", fails: "ArtifactCommit",
            chain: "Download Install Commit Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "killed in Commit, no reboot", reboot: "No", killed: "ArtifactCommit",
            chain: "Download Install Commit Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "error in Rollback", fails: "ArtifactVerifyReboot ArtifactRollback",
            chain: "Download Install Reboot VerifyReboot Rollback Failure Cleanup", result: .failed),
        Row(
            name: "killed in Rollback", fails: "ArtifactVerifyReboot", killed: "ArtifactRollback",
            chain:
                "Download Install Reboot VerifyReboot Rollback Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in RollbackReboot", fails: "ArtifactVerifyReboot ArtifactRollbackReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "killed in RollbackReboot", fails: "ArtifactVerifyReboot", killed: "ArtifactRollbackReboot",
            chain: "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in VerifyRollbackReboot", fails: "ArtifactVerifyReboot ArtifactVerifyRollbackReboot",
            chain:
                "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot RollbackReboot VerifyRollbackReboot RollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .failed),
        Row(
            name: "killed in VerifyRollbackReboot", fails: "ArtifactVerifyReboot",
            killed: "ArtifactVerifyRollbackReboot",
            chain:
                "Download Install Reboot VerifyReboot Rollback RollbackReboot VerifyRollbackReboot VerifyRollbackReboot Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Failure", fails: "ArtifactInstall ArtifactFailure",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Cleanup", result: .rolledBack),
        Row(
            name: "killed in Failure", fails: "ArtifactInstall", killed: "ArtifactFailure",
            chain: "Download Install Rollback RollbackReboot VerifyRollbackReboot Failure Failure Cleanup",
            result: .rolledBack),
        Row(
            name: "error in Cleanup", reboot: "No", fails: "Cleanup", chain: "Download Install Commit Cleanup",
            result: .committed),
        Row(
            name: "killed in Cleanup", reboot: "No", killed: "Cleanup",
            chain: "Download Install Commit Cleanup Cleanup", result: .committed),
        Row(
            name: "the device reports another version", reboot: "No", version: 1,
            chain: "Download Install Rollback Failure Cleanup", result: .rolledBack),
        Row(
            name: "invalid output of NeedsArtifactReboot", reboot: "Maybe",
            chain: "Download Install Rollback Failure Cleanup", result: .rolledBack),
    ]

    @Test(arguments: rows)
    func statesFollowTheProtocol(row: Row) async throws {
        let device = try await RecorderDevice(row)
        let job = try await device.device.job(1, version: 2, artifact: "artifact-file")
        let result = try await device.device.runToTheEnd(job)
        let chain = try device.device.scratch.read("control/log").split(separator: "\n")
            .map { $0.replacing("Artifact", with: "") }.joined(separator: " ")
        #expect(chain == row.chain)
        switch result {
        case .committed?: #expect(row.result == .committed)
        case .rolledBack?: #expect(row.result == .rolledBack)
        case .failed?: #expect(row.result == .failed)
        default: Issue.record("\(String(describing: result))")
        }
        #expect(!device.device.scratch.exists("state/installer/tree"), "the file tree is cleaned up")
        // For a second request the installer reports the same result and does nothing.
        let again = await device.device.run(.install(job))
        #expect(again.result == result)
        #expect(again.states.isEmpty)
        #expect(await device.device.run(.resume(1)).result == result)
        #expect(await device.device.run(.resume(2)).result == .unknown)
    }

    /// A module that calls `systemctl reboot` and returns: the device still runs the previous version.
    @Test func theRebootIsNotVerifiedBeforeIt() async throws {
        let recorder = try await RecorderDevice(Row(name: "", chain: "", result: .committed))
        let device = recorder.device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .rebooting)
        // The reboot has not come, and the agent asks again.
        #expect(await device.run(.resume(1)).result == .rebooting)
        #expect(await device.run(.resume(1), boot: 2).result == .committed)
        let log = try device.scratch.read("control/log").split(separator: "\n")
        #expect(
            log == [
                "Download", "ArtifactInstall", "ArtifactReboot", "ArtifactReboot", "ArtifactVerifyReboot",
                "ArtifactCommit", "Cleanup",
            ])
    }

    /// A module that restarts something other than the device declares it.
    @Test func aModuleForAPeripheralContinuesInTheSameBoot() async throws {
        let recorder = try await RecorderDevice(Row(name: "", chain: "", result: .committed))
        let device = recorder.device
        try device.scratch.write("modules/recorder.peripheral", "")
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .committed)
        #expect(try device.scratch.read("control/log").contains("ArtifactReboot\nArtifactVerifyReboot\n"))
    }

    /// The user cancels an installation that waits for its reboot.
    @Test func aCancelledInstallationIsRolledBack() async throws {
        let recorder = try await RecorderDevice(
            Row(name: "", reboot: "Automatic", chain: "", result: .committed))
        let device = recorder.device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        #expect(await device.run(.install(job)).result == .needsReboot(isRollback: false))
        #expect(await device.run(.cancel(7)).result == .unknown)
        #expect(await device.run(.cancel(1)).result == .interrupted("it was cancelled"))
        #expect(try device.scratch.read("control/log").hasSuffix("ArtifactRollback\nArtifactFailure\nCleanup\n"))
        #expect(try !device.scratch.read("state/installer/attempts.json").contains("\"attempts\":1"))
    }

    @Test func eachStateHasItsTimeLimit() async throws {
        let device = try await RecorderDevice(
            Row(name: "", reboot: "No", chain: "", result: .rolledBack), timeouts: "{ ArtifactCommit = 1 }")
        try device.device.scratch.write("control/hang-ArtifactCommit", "")
        let job = try await device.device.job(1, version: 2, artifact: "artifact-file")
        guard case .rolledBack(let reason)? = try await device.device.runToTheEnd(job) else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("ArtifactCommit") && reason.contains("took too long"))
    }

    @Test func theCallerReceivesTheOutputOfTheModule() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        let run = await device.device.run(
            .install(try await device.device.job(1, version: 2, artifact: "artifact-file")))
        #expect(run.output.contains("saying ArtifactInstall") && run.output.contains("shouting ArtifactInstall"))
        #expect(run.states.first == "verification")
    }

    @Test func theFileTreeFollowsTheProtocol() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        _ = await device.device.run(.install(try await device.device.job(1, version: 2, artifact: "artifact-file")))
        let seen = try device.device.scratch.read("control/tree")
        for line in [
            "./version 3", "./current_artifact_name device-1", "./current_artifact_group ",
            "./current_device_type unknown",
            "./header/artifact_name device-2", "./header/payload_type recorder",
            "./header/type-info {\"type\":\"recorder\"}",
            "./header/meta-data {\"value\":42}", "./files/payload new content", "./files/extra small",
        ] {
            #expect(seen.contains(line + "\n"), "\(line)")
        }
        #expect(seen.contains("tmp is empty"))
        #expect(
            seen.contains(
                "called with ArtifactInstall \(device.device.scratch.path)/state/installer/tree in \(device.device.scratch.path)/state/installer/tree"
            ))
    }

    // MARK: the installer socket

    @Test func theInstallerVerifiesTheFileItself() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        let job = try await device.device.job(1, version: 2, artifact: "artifact-file")
        try device.device.scratch.write("artifact-file", "forged content\n")
        #expect(await device.device.run(.install(job)).result == .refused("its content is not what was signed"))
        #expect(!device.device.scratch.exists("control/log"), "no module ran")
        var other = job
        other.id = 2
        other.artifact.path = "/nonexistent"
        guard case .artifactLost(let reason) = await device.device.run(.install(other)).result else {
            Issue.record("not refused")
            return
        }
        #expect(reason == "its file is lost: cannot open /nonexistent: No such file or directory")
    }

    /// A hostile agent can only have a signed, newer artifact of this application installed.
    @Test func whatTheAgentAsksForIsCheckedAgain() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed)).device
        try device.scratch.write("version", "VERSION_CODE=5\n")
        func refusal(of job: InstallJob, _ path: String) async throws -> String? {
            let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
            let message = try JSONLine.encode(InstallMessage.install(job))
            var result: InstallResult?
            let installer = Program(
                "\(programsDirectory)/upgradelink-installer", ["--root", device.scratch.path],
                streams: .socket(passing: file), timeLimit: 20)
            for line in await installer.run(message).lines {
                if case .finished(let value)? = try? JSONLine.decode(InstallReport.self, from: Array(line.utf8)) {
                    result = value
                }
            }
            guard case .refused(let reason)? = result else { return nil }
            return reason
        }
        func job(_ version: Int, urlKey: String = InstallerDevice.urlKey, sidecar: String) throws -> InstallJob {
            InstallJob(
                id: version, offer: Offer(file: "/x", urlKey: urlKey, versionCode: version), sidecar: sidecar)
        }
        let path = "\(device.scratch.path)/artifact-file"
        try await device.publisher.sign(path, comment: "urlKey=device versionCode=6")
        let good = try device.scratch.read("artifact-file.minisig")
        #expect(
            try await refusal(of: job(5, sidecar: good), path)
                == "versionCode 5 is not above the installed 5; a downgrade needs device.appointVersionCode")
        #expect(
            try await refusal(of: job(6, urlKey: "../../etc", sidecar: good), path)
                == "it is for another application than device.urlKey")
        #expect(
            try await refusal(of: job(7, sidecar: good), path) == "it was signed for versionCode 6, and 7 is wanted")
        #expect(
            try await refusal(of: job(8, sidecar: good + String(repeating: "x", count: 20_000)), path)
                == "its signature file is too long")
        mkfifo("\(device.scratch.path)/pipe", 0o600)
        for hostile in ["\(device.scratch.path)/pipe", "/dev/zero", device.scratch.path] {
            #expect(try await refusal(of: job(6, sidecar: good), hostile) == "it is not a regular file")
        }
        #expect(!device.scratch.exists("control/log"), "no module ran")
    }

    /// The installer refuses a request from a pipe, and one from another user.
    @Test func onlyTheAgentAndRootMayRequestInstallations() async throws {
        let device = try await InstallerDevice(install: "")
        let installer = "\(programsDirectory)/upgradelink-installer"
        let piped = await Program(
            installer, ["--root", device.scratch.path], streams: .pipes(), timeLimit: 20
        ).run(Array("{}\n".utf8))
        #expect(piped.end == .exited(64))
        #expect(PeerCredentials.mayRequest(0) && PeerCredentials.mayRequest(geteuid()))
        #expect(!PeerCredentials.mayRequest(65_534))
    }

    /// Root must not trust files that another user can replace.
    @Test(.enabled(if: getuid() == 0, "only root has rights to protect"))
    func aDirectoryThatOthersCanWriteToIsRefused() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed)).device
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        try Files.createDirectory("\(device.scratch.path)/state")
        for (owner, mode) in [(uid_t(65_534), mode_t(0o700)), (0, 0o777)] {
            chown("\(device.scratch.path)/state", owner, 0)
            chmod("\(device.scratch.path)/state", mode)
            guard case .lost(let reason) = await device.run(.install(job)).result else {
                Issue.record("not refused")
                return
            }
            #expect(
                reason.contains(
                    "others than root can write to \(device.scratch.path)/state; set it to a directory of root's own"))
        }
        #expect(!device.scratch.exists("control/log"), "no module ran")
    }

    /// If the installer is killed, its module keeps running; the next installer ends the module first.
    @Test func theProcessesOfAnInterruptedModuleAreEnded() async throws {
        let device = try await InstallerDevice(install: "module = \"slow\"\nmoduleDirectories = [\"@ROOT@/modules\"]")
        try device.scratch.write("artifact-file", "x")
        let script = """
            #!/bin/sh
            [ "$1" = ArtifactInstall ] || exit 0
            sleep 1000 &
            echo "$$ $! $PPID" >@ROOT@/pids.new
            mv @ROOT@/pids.new @ROOT@/pids
            wait
            """
        try device.scratch.write("modules/slow", script.replacing("@ROOT@", with: device.scratch.path), mode: 0o755)
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        async let first = device.run(.install(job))
        #expect(await eventually { device.scratch.exists("pids") })
        let pids = try device.scratch.read("pids").split(separator: " ").compactMap { pid_t($0.filter(\.isNumber)) }
        let (module, child, installer) = (pids[0], pids[1], pids[2])
        kill(installer, SIGKILL)
        guard case .lost = await first.result else {
            Issue.record("its installer was not killed")
            return
        }
        #expect(!AgentProcess.hasEnded(module) && !AgentProcess.hasEnded(child), "it still runs")
        let (result, _, output) = await device.run(.resume(1))
        #expect(AgentProcess.hasEnded(module) && AgentProcess.hasEnded(child), "\(output)")
        #expect(output.contains { $0.hasPrefix("what was left of an interrupted ArtifactInstall is ended: process ") })
        if case .committed = result { Issue.record("committed") }
    }

    @Test func aMissingModuleIsNamed() async throws {
        let device = try await InstallerDevice(install: "module = \"absent\"\nmoduleDirectories = [\"@ROOT@/modules\"]")
        try device.scratch.write("artifact-file", "x")
        let result = await device.run(.install(try await device.job(1, version: 2, artifact: "artifact-file"))).result
        guard case .refused(let line) = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(line.contains("there is no update module \"absent\"") && line.contains("install.module"))
    }

    @Test(arguments: [
        "", "{}", "not json", "{\"install\":{}}", "{\"resume\":{\"_0\":\"x\"}}", String(repeating: "x", count: 300_000),
    ])
    func anInvalidRequestIsRefused(text: String) async throws {
        let device = try await InstallerDevice(install: "")
        let end = await Program(
            "\(programsDirectory)/upgradelink-installer", ["--root", device.scratch.path],
            streams: .socket(passing: try OpenFile("/dev/null", O_RDONLY)), timeLimit: 20
        ).run(Array("\(text)\n".utf8)).end
        #expect(end == .exited(64))
    }

    /// Without libcrypto no signature can be verified: that does not count against the version.
    @Test func aMissingLibcryptoIsReported() async throws {
        let device = try await InstallerDevice(install: "")
        try device.scratch.write("libraries/libcrypto.so.3", "")
        let script =
            "LD_LIBRARY_PATH=\(device.scratch.path)/libraries exec \(programsDirectory)/upgradelink-installer --root \(device.scratch.path)"
        let route = InstallerClient.Route.program("/bin/sh", arguments: ["-c", script])
        guard case .lost(let reason) = await route.send(.resume(1), timeLimit: 20).result else {
            Issue.record("not reported")
            return
        }
        #expect(reason.contains("libcrypto.so.3") && reason.contains("libssl3"), "\(reason)")
    }

    @Test func aDamagedRecordIsRenamed() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        try device.device.scratch.write("state/installer/installation.json", "{\"job\":")
        #expect(await device.device.run(.resume(1)).result == .unknown)
        #expect(device.device.scratch.exists("state/installer/installation.json.damaged"))
    }
}

/// A device whose module records how it is called.
struct RecorderDevice {
    let device: InstallerDevice

    init(_ row: ProtocolTests.Row, timeouts: String = "{}") async throws {
        device = try await InstallerDevice(
            install: """
                module = "recorder"
                moduleDirectories = ["@ROOT@/modules"]
                fileName = "payload"
                files = { extra = "small" }
                metaData = { value = 42 }
                timeouts = \(timeouts)
                rebootCommand = ["/bin/sh", "-c", "echo SystemReboot >>@ROOT@/control/log"]
                """)
        let scratch = device.scratch
        try scratch.write("artifact-file", "new content\n")
        try scratch.write("control/NeedsArtifactReboot", row.reboot.isEmpty ? "" : row.reboot + "\n")
        try scratch.write("control/SupportsRollback", row.rollback.isEmpty ? "" : row.rollback + "\n")
        try scratch.write("control/new-version", "VERSION_CODE=\(row.version)\n")
        for state in (row.fails ?? "").split(separator: " ") { try scratch.write("control/fail-\(state)", "") }
        for state in (row.killed ?? "").split(separator: " ") { try scratch.write("control/kill-\(state)", "") }
        try scratch.write("modules/recorder", Self.script.replacing("@ROOT@", with: scratch.path), mode: 0o755)
    }

    private static let script = """
        #!/bin/sh
        control=@ROOT@/control
        case "$1" in
            NeedsArtifactReboot | SupportsRollback) cat "$control/$1"; exit ;;
            *Artifact* | Download | Cleanup) ;;
            *) exit 0 ;;
        esac
        echo "$1" >>"$control/log"
        echo "saying $1"
        echo "shouting $1" >&2
        [ ! -e "$control/hang-$1" ] || sleep 100
        while [ -e "$control/wait-$1" ]; do sleep 0.1; done
        env >"$control/environment"
        if [ -e "$control/kill-$1" ]; then rm "$control/kill-$1"; kill -9 $PPID; exit 0; fi
        [ ! -e "$control/fail-$1" ] || exit 1
        case "$1" in
            ArtifactInstall)
                cp "$control/new-version" @ROOT@/version
                {
                    find . -type f | while read -r file; do printf '%s ' "$file"; cat "$file"; echo; done
                    [ -d tmp ] && [ -z "$(ls tmp)" ] && echo "tmp is empty"
                    echo "called with $1 $2 in $PWD"
                } >"$control/tree"
                ;;
            ArtifactRollback) echo VERSION_CODE=1 >@ROOT@/version ;;
        esac
        """
}
