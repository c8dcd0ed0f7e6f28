import Host
import Subprocess
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Devices {
    /// The agent is stopped, masked or disabled while an installation is not finished: that is not the version's fault.
    @Suite struct AgentAbsenceTests {
        private func run(
            install: String = "", _ body: @Sendable (Container, DeviceFixture) async throws -> Void
        ) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try container.write(
                    "srv/is-healthy", "#!/bin/sh\ntouch /run/checked\ntest -e /srv/healthy\n", mode: 0o755)
                try fixture.configure(
                    install: "attempts = 1\nhealthTimeout = \"60s\"\nhealthProgram = [\"/srv/is-healthy\"]\n\(install)")
                try await body(container, fixture)
            }
        }

        private func untilTheHealthCheck(_ machine: Machine) async throws {
            try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
            try await machine.run("systemctl", "start", "sim", "upgradelinkd")
            #expect(await eventually(within: 60) { await machine.has("/run/checked") })
        }

        private func expectCommitted(_ machine: Machine, _ fixture: DeviceFixture) async throws {
            let isUpToDate = await machine.status(says: "Up to date (v2, code 2)")
            let journal = await machine.journal("-o cat -n 40")
            #expect(isUpToDate, "\(journal)")
            #expect(await eventually { fixture.reports(of: 2) == [0] })
            let history = try await machine.run("upgradelinkctl", "history").output
            #expect(!history.contains("rolledBack") && !history.contains("failed"), "\(history)")
        }

        @Test func aStoppedAgentSuspendsTheHealthCheck() async throws {
            try await run { container, fixture async throws in
                try await container.boot { machine async throws in
                    try await untilTheHealthCheck(machine)
                    try await machine.run("systemctl", "stop", "upgradelinkd")
                    #expect(
                        await eventually {
                            container.read("var/lib/upgradelink-installer/installation.json").contains(
                                "\"wasStopped\":true")
                        })
                    #expect(await eventually { await machine.shell("pgrep -fc 'upgradelink-installer$'") == "0" })
                    try container.write("srv/healthy", "")
                    try await machine.run("systemctl", "start", "upgradelinkd")
                    try await expectCommitted(machine, fixture)
                }
            }
        }

        /// The device is switched off before the agent is started again.
        @Test func aStoppedAgentDoesNotLoseTheVersionAtTheNextBoot() async throws {
            try await run { container, fixture async throws in
                _ = try await container.boot { machine async throws in
                    try await untilTheHealthCheck(machine)
                    try await machine.run("systemctl", "stop", "upgradelinkd")
                    let start = Clock.bootTime
                    try await machine.run("systemctl", "poweroff")
                    #expect(await machine.shutsDown())
                    #expect(Clock.bootTime - start < 10)
                }
                try container.write("srv/healthy", "")
                try await container.boot { machine async throws in try await expectCommitted(machine, fixture) }
            }
        }

        @Test func aMaskedAgentIsNotWaitedFor() async throws {
            try await run { container, fixture async throws in
                try await container.boot { machine async throws in
                    try await untilTheHealthCheck(machine)
                    // A unit file in /etc cannot be masked there.
                    try await machine.run("systemctl", "mask", "--runtime", "--now", "upgradelinkd")
                    try container.write("srv/healthy", "")
                    #expect(
                        await eventually {
                            container.read("var/lib/upgradelink-installer/installation.json").contains("\"committed\"")
                        })
                    try await machine.run("systemctl", "unmask", "--runtime", "upgradelinkd")
                    try await machine.run("systemctl", "start", "upgradelinkd")
                    try await expectCommitted(machine, fixture)
                }
            }
        }

        /// The operator disables the agent before the reboot: the installer commits the version by itself.
        @Test func aDisabledAgentDoesNotPreventTheCommit() async throws {
            try await run { container, fixture async throws in
                try fixture.configure(
                    module: "rebooting", install: "attempts = 1\nhealthTimeout = \"60s\"\nreboot = \"ask\"")
                let first = try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "after the user's consent"))
                    try await machine.run("systemctl", "disable", "upgradelinkd")
                    try await machine.run("systemctl", "reboot")
                    #expect(await machine.shutsDown())
                }
                #expect(first.status == .exited(133))
                try await container.boot { machine async throws in
                    #expect(
                        await eventually(within: 30) {
                            container.read("var/lib/upgradelink-installer/installation.json").contains("\"committed\"")
                        }, "\(container.read("var/lib/upgradelink-installer/installation.json"))")
                    try await machine.run("systemctl", "start", "upgradelinkd")
                    try await expectCommitted(machine, fixture)
                }
            }
        }
    }
}
