import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import InstallerProgram

/// What the installer does with a request, and with what an earlier installer left.
extension ProtocolTests {
    @Test func theInstallerVerifiesTheFileItself() async throws {
        let device = try await RecorderDevice(Row(name: "", reboot: "No", chain: "", result: .committed))
        let job = try await device.device.job(1, version: 2, artifact: "artifact-file")
        try device.device.scratch.write("artifact-file", "forged content\n")
        #expect(
            await device.device.run(.install(job)).result
                == .refused("its content is not what was signed", code: .signatureInvalid))
        #expect(!device.device.scratch.exists("control/log"), "no module ran")
        var other = job
        other.id = 2
        other.artifact.path = "/nonexistent"
        guard case .artifactLost(let reason) = await device.device.run(.install(other)).result else {
            Issue.record("not refused")
            return
        }
        #expect(reason == "the agent cannot open its file, and the installer does not have it")
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
            guard case .refused(let reason, _)? = result else { return nil }
            return reason
        }
        func job(_ version: Int, urlKey: String = InstallerDevice.urlKey, sidecar: String) throws -> InstallJob {
            InstallJob(
                id: InstallID(version), offer: Offer(file: "/x", urlKey: urlKey, versionCode: version), sidecar: sidecar
            )
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
            let why =
                owner == 0
                ? "others than root can write to \(device.scratch.path)/state"
                : "\(device.scratch.path)/state belongs to user 65534, and not to root"
            #expect(reason.contains("\(why); set it to a directory of root's own"), "\(reason)")
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
        guard case .refused(let line, _) = result else {
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
