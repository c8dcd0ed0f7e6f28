import Host
import Subprocess
import TestSupport
import Testing

extension SystemTests.Devices {
    /// The command for the reboot succeeds, and no reboot follows.
    @Suite struct MissingRebootTests {
        private static let install = "rebootCommand = [\"/bin/true\"]\nrebootTimeout = \"2s\""

        /// Starts an update, and waits until its reboot has not come in time.
        private static func update(_ machine: Machine) async throws {
            try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
            try await machine.run("systemctl", "start", "sim", "upgradelinkd")
            let isRefused = await machine.status(says: "no reboot came within 2 s (install.rebootTimeout)")
            let journal = await machine.journal("-o cat -n 40")
            #expect(isRefused, "\(journal)")
        }

        /// The agent requests it again and again, keeps checking, and obeys the operator. The installation is completed only in
        /// another boot.
        @Test func aRebootThatDoesNotComeIsRequestedAgain() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try fixture.configure(module: "rebooting", install: Self.install)
                let first = try await container.boot { machine async throws in
                    try await Self.update(machine)
                    #expect(await machine.status(says: "; tried 3 times since "))
                    let doctor = await machine.shell("upgradelinkctl doctor")
                    #expect(doctor.contains("agent: v2 (code 2) waits: the device cannot be rebooted"), "\(doctor)")
                    let polls = { container.readOutside("sim.log").matches(of: /v1\/url\/upgrade/).count }
                    let before = polls()
                    #expect(await eventually { (try? await machine.run("upgradelinkctl", "check"))?.isSuccess == true })
                    #expect(await eventually { polls() > before }, "the agent checks")
                    #expect(
                        await eventually {
                            (try? await machine.run("upgradelinkctl", "retry", "2"))?.isSuccess == true
                        })
                    // A retry begins a new count.
                    #expect(await machine.status(says: "; tried 3 times since "))
                    #expect(fixture.states == "Download ArtifactInstall")
                    #expect(fixture.reports(of: 2) == [])
                    try await machine.run("systemctl", "reboot")
                    #expect(await machine.shutsDown())
                }
                #expect(first.status == .exited(133), "it rebooted")
                try await container.boot { machine async throws in
                    let isCommitted = await machine.status(says: "Up to date (v2, code 2)")
                    let journal = await machine.journal("-o cat -n 40")
                    #expect(isCommitted, "\(journal)")
                    #expect(fixture.states == "Download ArtifactInstall ArtifactVerifyReboot ArtifactCommit Cleanup")
                    #expect(await eventually { fixture.reports(of: 2) == [0] })
                }
            }
        }

        /// The installation is rolled back, nothing is counted or reported, and a retry installs it again.
        @Test func anInstallationThatWaitsForItsRebootIsCancelled() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try fixture.configure(module: "rebooting", install: Self.install)
                try await container.boot { machine async throws in
                    try await Self.update(machine)
                    #expect(await machine.shell("cat /opt/player/version").contains("VERSION_CODE=2"))
                    #expect(
                        await eventually { (try? await machine.run("upgradelinkctl", "cancel"))?.isSuccess == true })
                    let isCancelled = await machine.status(says: "v2 (code 2) waits: cancelled")
                    let journal = await machine.journal("-o cat -n 40")
                    #expect(isCancelled, "\(journal)")
                    #expect(await machine.shell("cat /opt/player/version").contains("VERSION_CODE=1"))
                    #expect(fixture.states == "Download ArtifactInstall ArtifactRollback ArtifactFailure Cleanup")
                    let history = await machine.shell("upgradelinkctl history")
                    #expect(history.contains("interrupted") && history.contains("it was cancelled"), "\(history)")
                    #expect(fixture.reports(of: 2) == [])
                    try await machine.run("upgradelinkctl", "retry")
                    #expect(await machine.status(says: "no reboot came within 2 s"))
                    #expect(await machine.shell("cat /opt/player/version").contains("VERSION_CODE=2"))
                }
            }
        }
    }
}
