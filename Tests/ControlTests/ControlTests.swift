import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// The real upgradelinkctl against a real agent on a real bus.
@Suite(.enabled(if: getuid() == 0, "a private system bus and other users on it need root"))
struct ControlTests {
    private let device: AgentDevice
    private let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"

    init() async throws {
        device = try await AgentDevice()
        chmod(device.scratch.path, 0o711)
    }

    private func ctl(_ bus: String, _ arguments: [String], user: Int = 0) async throws -> ControlRun {
        try await ControlRun.of(arguments, bus: bus, user: user)
    }

    private func withAgent<Value: Sendable>(
        _ versions: [Version] = [], faults: [Fault] = [], changes: String = "",
        body: @Sendable (String, AgentProcess, RunningServer) async throws -> Value
    ) async throws -> Value {
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus in
            try await SimulatedServer.run(device.server(versions, faults: faults)) { server async throws in
                try device.configure(server: server.url, changes: changes)
                return try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                    return try await body(bus.address, agent, server)
                }.value
            }
        }
    }

    @Test func statusIsReadableForPeopleAndPrograms() async throws {
        var version = try await device.publish(2, type: 1)
        version.promptUpgradeContent = "Better"
        try await withAgent([version]) { bus, agent, _ async throws in
            #expect(await agent.says("Waiting for consent"))
            let human = try await ctl(bus, ["status"])
            #expect(human.status == .exited(1))
            for line in [
                "Status:      Waiting for consent to install v2 (code 2)", "Installed:   v1 (code 1)",
                "Offer:       v2 (code 2), prompt, 1", "             Better", "Deferrals:   3 left",
                "To do:       upgradelinkctl accept | defer 2h | reject", "Next check:  20",
            ] {
                #expect(human.output.contains(line), "\(line) in \(human.output)")
            }
            #expect(!human.output.contains("\u{1B}"), "no colours without a terminal")
            let json = try await ctl(bus, ["status", "--json"], user: 65534)
            #expect(json.status == .exited(1))
            #expect(json.output.contains("\"state\" : \"consent\"") && json.output.contains("\"deferralsLeft\" : 3"))
            #expect(try await ctl(bus, ["accept"]).status == .exited(0))
            #expect(await agent.says("Up to date (v2, code 2)"))
            #expect(await eventually { (try? await ctl(bus, []))?.status == .exited(0) })
        }
        #expect(device.runs == 2)
    }

    @Test func aFailingAgentGivesExitStatus2() async throws {
        try await withAgent(faults: [Fault(path: "/v1/url", status: 401, body: "{\"code\":401002,\"msg\":\"m\"}")]) {
            bus, agent, _ async throws in
            #expect(await agent.says("check the access key"))
            #expect(try await ctl(bus, ["status"]).status == .exited(2))
        }
    }

    @Test func aMissingAgentIsReported() async throws {
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            let run = try await ctl(bus.address, ["status"])
            #expect(
                run.status == .exited(2) && run.error == "upgradelinkd is not running: systemctl start upgradelinkd\n")
        }
        let run = try await ctl("unix:path=/nonexistent", ["status"])
        #expect(run.status == .exited(2) && run.error.hasPrefix("there is no system bus"))
    }

    @Test func deferRejectRetryAndHistory() async throws {
        let version = try await device.publish(2, type: 1)
        try await withAgent([version]) { bus, agent, _ async throws in
            #expect(await agent.says("Waiting for consent"))
            #expect(try await ctl(bus, ["defer", "soon"]).status == .exited(64))
            #expect(try await ctl(bus, ["defer", "10s"]).status == .exited(64))
            #expect(try await ctl(bus, ["defer", "2h"]).status == .exited(0))
            #expect(await agent.says("Waiting for consent to install v2 (code 2); asking again "))
            let wrong = try await ctl(bus, ["reject", "--version-code", "7"])
            #expect(wrong.status == .exited(1) && wrong.error.contains("version 7 is not the one that is offered"))
            #expect(try await ctl(bus, ["history"]).output == "Nothing has been installed yet.\n")
            let tonight = try await ctl(bus, ["accept", "--tonight"])
            #expect(
                tonight.status == .exited(1) && tonight.error.hasPrefix("no maintenance window is configured: "),
                "\(tonight)")
            #expect(try await ctl(bus, ["reject"]).status == .exited(0))
            let status = try await ctl(bus, ["status"]).output
            #expect(status.contains(/\nRejected: +v2 \(code 2\); upgradelinkctl retry 2\n/), "\(status)")
            let history = try await ctl(bus, ["history"])
            #expect(history.output.contains("  rejected  v2 (code 2), prompt, 1"), "\(history.output)")
            #expect(try await ctl(bus, ["history", "--json"]).output.contains("\"result\" : \"rejected\""))
            #expect(try await ctl(bus, ["history", "--json=short"]).output.contains("\"result\":\"rejected\""))
            let nothing = try await ctl(bus, ["accept"])
            #expect(nothing.status == .exited(1) && nothing.error == "no version is offered\n")
            #expect(try await ctl(bus, ["retry"]).status == .exited(0))
            #expect(await eventually { agent.statuses.last?.hasPrefix("Waiting for consent") == true })
        }
    }

    /// Root's retry also goes to an installer of its own, another user's does not. It needs neither the agent nor the bus.
    @Test func rootsRetryAsksTheInstallerItself() async throws {
        let version = try await device.publish(2, type: 1)
        try await withAgent([version]) { bus, agent, _ async throws in
            #expect(await agent.says("Waiting for consent"))
            #expect(try await ctl(bus, ["reject"]).status == .exited(0))
            let arguments = ["retry", "2", "--root", device.scratch.path]
            try blockVersion2()
            #expect(try await ctl(bus, arguments, user: 65534).status == .exited(77))
            #expect(try counts().contains(#""attempts":3"#))
            let run = try await ctl(bus, arguments)
            #expect(run.status == .exited(0) && run.error.isEmpty, "\(run)")
            #expect(run.output == "The installer's count of version 2 is reset\n")
            #expect(try !counts().contains("attempts"))
            // The operator learns that the installer was not asked.
            let failed = try await ctl(bus, arguments + ["--programs", "/nonexistent"])
            #expect(failed.error.contains("the installer's count was not reset: cannot start"), "\(failed)")
        }
        for bus in ["unix:path=/nonexistent", ""] {
            try blockVersion2()
            let run = try await ctl(bus, ["retry", "2", "--root", device.scratch.path])
            #expect(run.status == .exited(2) && !run.error.isEmpty, "\(run)")
            #expect(run.output == "The installer's count of version 2 is reset\n")
            #expect(try !counts().contains("attempts"))
        }
    }

    private var countsPath: String { "state/installer/attempts.json" }
    private func counts() throws -> String { try device.scratch.read(countsPath) }

    private func blockVersion2() throws {
        try device.scratch.write(
            countsPath, #"{"format":2,"versions":[{"attempts":3,"reboots":0,"resets":3,"versionCode":2}]}"#)
    }

    @Test func aUserWithoutRightsGetsExitStatus77() async throws {
        try await withAgent { bus, _, _ async throws in
            let run = try await ctl(bus, ["check"], user: 65534)
            #expect(run.status == .exited(77))
            #expect(
                run.error
                    == "only root, the agent's own user and the group upgradelink may do this: add the user to that group\n"
            )
            #expect(try await ctl(bus, ["history"], user: 65534).status == .exited(0))
        }
    }

    @Test func aCommandInhibitsWhileItRuns() async throws {
        let version = try await device.publish(2)
        try await withAgent { bus, agent, server async throws in
            async let command = ctl(
                bus,
                [
                    "inhibit", "--why", "a film", "--", "sh", "-c",
                    "while [ ! -e \(device.scratch.path)/over ]; do sleep 0.1; done; exit 7",
                ])
            #expect(
                await eventually {
                    (try? await ctl(bus, ["status"]))?.output.contains("install:reboot by sh: a film") == true
                })
            await server.change { $0.applications[0].versions.append(version) }
            #expect(await agent.says("Ready to install v2 (code 2) delayed by sh: a film"))
            #expect(device.runs == 1)
            try device.scratch.write("over", "")
            #expect(try await command.status == .exited(7))
            #expect(await agent.says("Up to date (v2, code 2)"))
        }
    }

    /// A download is stopped and resumed many times: two workers never write one file, and no attempt is counted.
    @Test func aDownloadIsResumedAfterEachInhibitor() async throws {
        let version = try await device.publish(2, ballast: 4_000_000)
        try await withAgent(faults: [Fault(path: "/files/v2", bytesPerSecond: 1_500_000)]) {
            bus, agent, server async throws in
            await server.change { $0.applications[0].versions.append(version) }
            #expect(await agent.says("Downloading v2: "))
            for _ in 0..<5 {
                #expect(
                    try await ctl(bus, ["inhibit", "--what", "download", "--", "sleep", "0.1"]).status == .exited(0))
            }
            #expect(await agent.says("Up to date (v2, code 2)", within: 60), "\(agent.log)")
            #expect(agent.statuses.contains { $0.hasPrefix("Ready to download v2 (code 2) delayed by sleep") })
            #expect(
                !agent.log.contains {
                    $0.contains("is not what was signed; it starts over") || $0.contains("Attempt 1")
                })
            let ranges = await server.records.filter { $0.path == "/files/v2" }.map { $0.headers["range"] }
            #expect(ranges.first == .some(nil) && ranges.dropFirst().allSatisfy { $0 != nil }, "\(ranges)")
        }
        #expect(device.runs == 2)
    }

    @Test func aLocalFileIsInstalled() async throws {
        _ = try await device.publish(2)
        try await withAgent(changes: "[poll]\nsplay = \"1h\"") { bus, agent, _ async throws in
            let absent = try await ctl(bus, ["install", "/nonexistent"])
            #expect(absent.status == .exited(66) && absent.error.contains("No such file"))
            let run = try await ctl(bus, ["install", "\(device.scratch.path)/files/../files/v2"])
            #expect(run.status == .exited(0), "\(run)")
            #expect(run.output.contains("Version 2 is verified"))
            #expect(await eventually { device.runs == 2 })
        }
    }

    @Test func watchFollowsTheDownload() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        try await withAgent(faults: [Fault(path: "/files/v2", times: 2, bytesPerSecond: 2_000_000)]) {
            bus, _, server async throws in
            let lines = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")), arguments: ["status", "--watch"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .sequence,
                error: .discarded
            ) { watch async throws in
                var lines: [String] = []
                for try await line in watch.standardOutput.strings() {
                    if lines.isEmpty { await server.change { $0.applications[0].versions.append(version) } }
                    lines.append(line)
                    if line.hasPrefix("Up to date (v2") { try watch.send(signal: .terminate) }
                }
                return lines
            }.closureResult
            #expect(lines.contains { $0.hasPrefix("Downloading v2: ") && $0.contains(" % of 3.0 MB") }, "\(lines)")
            #expect(lines.contains { $0.hasPrefix("Installing v2") })
        }
    }

    // MARK: without the agent

    @Test func doctorReportsErrorsAndTheirRemedies() async throws {
        try await withAgent { bus, agent, server async throws in
            #expect(await agent.says("Up to date"))
            let polls = await server.polls
            let healthy = try await ctl(bus, ["doctor", "--root", device.scratch.path])
            #expect(healthy.status == .exited(0), "\(healthy.output)")
            #expect(healthy.output.split(separator: "\n").count >= 27 && !healthy.output.contains("BAD "))
            #expect(healthy.output.contains("server: it knows this device and responds"))
            #expect(healthy.output.contains(#/ ok, \d+ warn, 0 BAD, \d+ skip\n$/#), "\(healthy.output)")
            #expect(await server.polls > polls)
            try device.configure(
                server: server.url,
                changes:
                    "[verification]\nkeys = []\n[credentials]\nsecretKey = \"wrong\"\n[install]\nmodule = \"absent\"")
            let unhealthy = try await ctl(bus, ["doctor", "--root", device.scratch.path])
            #expect(unhealthy.status == .exited(1))
            for words in [
                "keys: there are none", "put the publisher's minisign public key", "HTTP 401", "[credentials]",
                "update module: absent is not in",
            ] {
                #expect(unhealthy.output.contains(words), "\(words) in \(unhealthy.output)")
            }
            try device.configure(server: Loopback.unusedPort)
            #expect(
                try await ctl(bus, ["doctor", "--root", device.scratch.path]).output.contains(
                    /BAD +server: the server cannot be reached/))
            try device.scratch.write("etc/upgradelinkd/upgradelinkd.toml", "x = 1")
            let wrong = try await ctl(bus, ["doctor", "--root", device.scratch.path])
            #expect(wrong.status == .exited(1) && wrong.output.contains(#/^BAD +configuration: /#), "\(wrong.output)")
            #expect(wrong.output.contains("keys: not checked, because the configuration is wrong"), "\(wrong.output)")
        }
    }
}
