import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `--wait` of check, accept, install and retry: real agent, real server.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct WaitTests {
    private let fixture: ControlFixture
    private var device: AgentDevice { fixture.device }

    init() async throws { fixture = try await ControlFixture() }

    /// No check comes by itself.
    private let quiet = "[poll]\ninterval = \"1h\"\nsplay = \"1h\""

    private func ctl(_ bus: String, _ arguments: String...) async throws -> ControlRun {
        try await ControlRun.of(arguments, bus: bus)
    }

    @Test func aCheckThatFindsNothingEndsWith0() async throws {
        try await fixture.withAgent(changes: quiet) { bus, _, server async throws in
            let polls = await server.polls
            let run = try await ctl(bus, "check", "--wait")
            #expect(run.status == .exited(0) && run.error.isEmpty, "\(run)")
            #expect(run.output.split(separator: "\n").last?.hasPrefix("Up to date (v1, code 1)") == true, "\(run)")
            #expect(await server.polls > polls, "the check has ended")
        }
    }

    @Test func aCheckInstallsWhatItFinds() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        try await fixture.withAgent(
            faults: [Fault(path: "/files/v2", times: 2, bytesPerSecond: 2_000_000)], changes: quiet
        ) {
            bus, _, server async throws in
            await server.change { $0.applications[0].versions.append(version) }
            let run = try await ctl(bus, "check", "--wait", "--timeout", "2min")
            #expect(run.status == .exited(0) && run.error.isEmpty, "\(run)")
            #expect(run.output.hasSuffix("\nInstalled v2 (code 2)\n"), "\(run.output)")
            #expect(run.output.contains("\nDownloading v2: ") && !run.output.contains("\u{1B}"), "\(run.output)")
            #expect(device.runs == 2)
        }
    }

    @Test func aFailureEndsWith1AndItsReason() async throws {
        let version = try await device.publish(2, signedFor: 3)
        try await fixture.withAgent(
            faults: [Fault(path: "/v1/url/upgrade", status: 503)], changes: quiet
        ) { bus, _, server async throws in
            let failed = try await ctl(bus, "check", "--wait")
            #expect(failed.status == .exited(1) && failed.error.contains("HTTP 503"), "\(failed)")
            await server.change {
                $0.faults = []
                $0.applications[0].versions.append(version)
            }
            let refused = try await ctl(bus, "check", "--wait")
            #expect(refused.status == .exited(1), "\(refused)")
            #expect(refused.error.contains("it was signed for versionCode 3, and 2 is wanted"), "\(refused)")
            #expect(device.runs == 1)
        }
    }

    /// Consent, then an inhibitor; then the installation.
    @Test func whatDoesNotEndByItselfEndsWith3() async throws {
        let version = try await device.publish(2, type: 1)
        try await fixture.withAgent([version], changes: quiet) { bus, agent, _ async throws in
            let consent = try await ctl(bus, "check", "--wait")
            #expect(consent.status == .exited(3), "\(consent)")
            #expect(consent.error.contains("Waiting for consent to install v2 (code 2)"), "\(consent)")
            let command = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")),
                arguments: ["inhibit", "--", "sh", "-c", "echo ready; while :; do sleep 0.1; done"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .sequence,
                error: .discarded
            ) { inhibit async throws in
                for try await line in inhibit.standardOutput.strings() where line == "ready" { break }
                let inhibited = try await ctl(bus, "accept", "--wait")
                #expect(inhibited.status == .exited(3) && inhibited.error.contains("delayed by sh"), "\(inhibited)")
                let again = try await ctl(bus, "accept", "--wait")
                #expect(again.status == .exited(1) && again.error == "v2 (code 2) is accepted already\n", "\(again)")
                kill(inhibit.processIdentifier.value, SIGTERM)
            }
            #expect(command.terminationStatus == .exited(143))
            #expect(await agent.says("Up to date (v2, code 2)"))
        }
    }

    @Test func anAcceptedVersionAndAFileAreInstalled() async throws {
        let version = try await device.publish(2, type: 1)
        _ = try await device.publish(3)
        try await fixture.withAgent([version], changes: quiet) { bus, _, _ async throws in
            #expect(try await ctl(bus, "check", "--wait").status == .exited(3))
            let accepted = try await ctl(bus, "accept", "--wait")
            #expect(
                accepted.status == .exited(0) && accepted.output.hasSuffix("Installed v2 (code 2)\n"), "\(accepted)")
            let file = try await ctl(bus, "install", "--wait", "\(device.scratch.path)/files/v3")
            #expect(file.status == .exited(0) && file.output.hasSuffix("Installed 3 (code 3)\n"), "\(file)")
            #expect(file.output.hasPrefix("Version 3 is verified and will be installed\n"), "\(file)")
            #expect(device.runs == 3)
            let old = try await ctl(bus, "install", "--wait", "\(device.scratch.path)/files/v2")
            #expect(old.status == .exited(1) && old.error.contains("not above the installed 3"), "\(old)")
        }
    }

    /// The module fails; the version is blocked after three attempts. The retry has the result of its own attempt.
    @Test func aRetryHasItsOwnResult() async throws {
        // The artifact says that it is version 9: the installation is rolled back.
        let version = try await device.publish(2, says: 9)
        try await fixture.withAgent([version], changes: quiet + "\n[install]\nattempts = 1") {
            bus, agent, _ async throws in
            let failed = try await ctl(bus, "check", "--wait")
            #expect(
                failed.status == .exited(1) && failed.error.contains("v2 (code 2) was not installed, rolledBack: "),
                "\(failed)")
            let retry = try await ctl(bus, "retry", "2", "--wait", "--root", device.scratch.path)
            #expect(
                retry.status == .exited(1) && retry.error.contains("v2 (code 2) was not installed, rolledBack: "),
                "\(retry)")
            let entries =
                try await ctl(bus, "history", "--json=short").output.split(separator: "\"rolledBack\"").count - 1
            #expect(entries == 2)
        }
    }

    /// The server has replaced the version: another one is installed instead.
    @Test func aRetryThatInstallsAnotherVersionHasFailed() async throws {
        let (old, new) = (try await device.publish(2, says: 9), try await device.publish(3))
        try await fixture.withAgent([old], changes: quiet + "\n[install]\nattempts = 1") {
            bus, _, server async throws in
            #expect(try await ctl(bus, "check", "--wait").status == .exited(1))
            await server.change { $0.applications[0].versions = [new] }
            let retry = try await ctl(bus, "retry", "2", "--wait", "--root", device.scratch.path)
            #expect(retry.status == .exited(1), "\(retry)")
            #expect(
                retry.error.contains("version 2 was not installed: Up to date (v3, code 3)"), "\(retry)")
            #expect(device.runs == 3)
        }
    }

    @Test func aTimeoutAndASignalEndOnlyTheWait() async throws {
        let version = try await device.publish(2, ballast: 4_000_000)
        try await fixture.withAgent(faults: [Fault(path: "/files/v2", bytesPerSecond: 300_000)], changes: quiet) {
            bus, agent, server async throws in
            await server.change { $0.applications[0].versions.append(version) }
            let late = try await ctl(bus, "check", "--wait", "--timeout", "1s")
            #expect(late.status == .exited(124), "\(late)")
            #expect(
                late.error == "no result after 1 s; the update continues: upgradelinkctl status --watch\n", "\(late)")
            // A check during the download waits for that.
            let stopped = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")), arguments: ["check", "--wait"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .sequence,
                error: .string(limit: 4096)
            ) { check async throws in
                for try await line in check.standardOutput.strings() where line.hasPrefix("Downloading v2: ") { break }
                kill(check.processIdentifier.value, SIGINT)
            }
            #expect(stopped.terminationStatus == .exited(130))
            #expect(
                stopped.standardError.hasSuffix(
                    "no longer waiting; the update continues: upgradelinkctl status --watch\n"))
            await server.change { $0.faults = [] }
            #expect(await agent.says("Up to date (v2, code 2)", within: 60))
        }
    }

    /// The agent restarts during the download, as it does during its own update.
    @Test func aRestartOfTheAgentDoesNotEndTheWait() async throws {
        let version = try await device.publish(2, ballast: 4_000_000)
        try await fixture.withBus { bus async throws in
            try await SimulatedServer.run(
                device.server([version], faults: [Fault(path: "/files/v2", times: 2, bytesPerSecond: 400_000)])
            ) { server async throws in
                try device.configure(server: server.url, changes: quiet)
                let run = try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                    let waiting = Task { try await ctl(bus.address, "check", "--wait") }
                    #expect(await agent.says("Downloading v2: "))
                    let workers = agent.workers
                    #expect(workers.count == 1)
                    kill(agent.pid, SIGKILL)
                    #expect(await eventually { agent.hasEnded })
                    // systemd ends the processes of a service before it starts it again.
                    for worker in workers {
                        #expect(await eventually { !Files.exists("/proc/\(worker)") })
                    }
                    return try await AgentProcess.run(device, environment: bus.environment) { _ async throws in
                        try await waiting.value
                    }.value
                }.value
                #expect(run.status == .exited(0) && run.output.hasSuffix("Installed v2 (code 2)\n"), "\(run)")
            }
        }
    }

    /// The agent is killed while the check runs: the next one does not repeat the check by itself.
    @Test func aCheckIsRepeatedByTheNextAgent() async throws {
        let version = try await device.publish(2)
        try await fixture.withBus { bus async throws in
            try await SimulatedServer.run(
                device.server([], faults: [Fault(path: "/v1/url/upgrade", times: 1, delay: 15)])
            ) { server async throws in
                try device.configure(
                    server: server.url, changes: quiet + "\nbackOffBase = \"1h\"\nbackOffCap = \"2h\"")
                let run = try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                    let waiting = Task { try await ctl(bus.address, "check", "--wait") }
                    #expect(await agent.logs("Check by"))
                    #expect(await eventually { agent.statuses.last?.hasPrefix("Checking for updates") == true })
                    await server.change { $0.applications[0].versions.append(version) }
                    kill(agent.pid, SIGKILL)
                    #expect(await eventually { agent.hasEnded })
                    return try await AgentProcess.run(device, environment: bus.environment) { _ async throws in
                        try await waiting.value
                    }.value
                }.value
                #expect(run.status == .exited(0) && run.output.hasSuffix("Installed v2 (code 2)\n"), "\(run)")
            }
        }
    }

    /// The state says "consent" during the check.
    @Test func aCheckIsWaitedForWhileAnOfferWaits() async throws {
        let (asked, silent) = (try await device.publish(2, type: 1), try await device.publish(3))
        try await fixture.withAgent([asked], changes: quiet) { bus, _, server async throws in
            #expect(try await ctl(bus, "check", "--wait").status == .exited(3))
            await server.change {
                $0.applications[0].versions = [silent]
                $0.faults = [Fault(path: "/v1/url/upgrade", times: 1, delay: 1)]
            }
            let run = try await ctl(bus, "check", "--wait")
            #expect(run.status == .exited(0) && run.output.hasSuffix("Installed v3 (code 3)\n"), "\(run)")
        }
    }

    /// The server takes its time. A loop would take it from the agent and its workers.
    @Test func aLongCheckIsWaitedForInSleep() async throws {
        try await fixture.withAgent(faults: [Fault(path: "/v1/url/upgrade", delay: 60)], changes: quiet) {
            bus, _, _ async throws in
            let run = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")), arguments: ["check", "--wait"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .sequence,
                error: .discarded
            ) { check async throws in
                let path = "/proc/\(check.processIdentifier.value)/status"
                func switches() throws -> Int {
                    let text = String(decoding: try Files.read(path, limit: 65_536), as: UTF8.self)
                    let count = text.firstMatch(of: /\nvoluntary_ctxt_switches:\s+(\d+)/)
                    return try #require(count.flatMap { Int($0.1) })
                }
                var isSeen = false
                for try await line in check.standardOutput.strings() where line.hasPrefix("Checking for updates") {
                    isSeen = true
                    let before = try switches()
                    try await Task.sleep(for: .seconds(2))
                    #expect(try switches() < before + 50)
                    kill(check.processIdentifier.value, SIGINT)
                }
                #expect(isSeen)
            }
            #expect(run.terminationStatus == .exited(130))
        }
    }

    /// The version is being installed, which is what a check would have found.
    @Test func aCheckDuringAnInstallationWaitsForIt() async throws {
        try device.scratch.write(
            "modules/held",
            """
            #!/bin/sh
            if [ "$1" = ArtifactInstall ]; then
                : >\(device.scratch.path)/installs
                while [ ! -e \(device.scratch.path)/go ]; do sleep 0.1; done
            fi
            exec \(modulesDirectory)/directory "$@"

            """, mode: 0o755)
        let version = try await device.publish(2)
        try await fixture.withAgent(changes: quiet + "\n[install]\nmodule = \"held\"") { bus, _, server async throws in
            await server.change { $0.applications[0].versions.append(version) }
            #expect(try await ctl(bus, "check").status == .exited(0))
            #expect(await eventually { device.scratch.exists("installs") })
            let refused = try await ctl(bus, "check")
            #expect(
                refused.status == .exited(1) && refused.error.hasPrefix("v2 (code 2) is being worked on"), "\(refused)")
            let run = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")), arguments: ["check", "--wait"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .sequence,
                error: .string(limit: 4096)
            ) { check async throws in
                var last = ""
                for try await line in check.standardOutput.strings() {
                    last = line
                    if line.hasPrefix("Installing v2") { try device.scratch.write("go", "") }
                }
                return last
            }
            #expect(run.terminationStatus == .exited(0) && run.closureResult == "Installed v2 (code 2)", "\(run)")
            #expect(run.standardError.hasPrefix("v2 (code 2) is being worked on"), "\(run.standardError)")
        }
    }

    @Test func anAgentThatIsAbsentIsReportedAtOnce() async throws {
        try await fixture.withBus { bus async throws in
            let run = try await ctl(bus.address, "check", "--wait")
            #expect(run.status == .exited(2) && run.error.hasPrefix("upgradelinkd is not running"), "\(run)")
        }
    }
}
