import Glibc
import Host
import Subprocess
import TestSupport
import Testing

extension SystemTests.Devices {
    /// Updates that reboot the device, a clean Debian 12 or 13: from version A to version B, or rolled back.
    @Suite struct RestartTests {
        /// Starts an update while an inhibitor of logind blocks the reboot, and waits for the refusal.
        private static func updateDuringARecording(_ machine: Machine) async throws {
            try await machine.run(
                "systemd-run", "-q", "--unit=recording", "systemd-inhibit", "--what=shutdown", "--who=TV",
                "--why=recording", "--mode=block", "sleep", "1000")
            try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
            try await machine.run("systemctl", "start", "sim", "upgradelinkd")
            #expect(await machine.status(says: "the device cannot be rebooted: Operation inhibited by \"TV\""))
        }

        @Test(arguments: Suite.available) func anUpdateWithARebootIsCommittedAfterwards(on suite: Suite) async throws {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try fixture.configure(module: "rebooting", install: "healthProgram = [\"/srv/is-healthy\"]")
                try container.write("srv/is-healthy", "#!/bin/sh\necho checked >>/srv/health\n", mode: 0o755)
                let first = try await container.boot { machine async throws in
                    // The user interface of a device is often the session of a user: that does not delay the reboot.
                    try await machine.run(
                        "systemd-run", "-q", "--unit=kiosk", "--uid=daemon", "-p", "PAMName=login", "-E",
                        "XDG_SESSION_TYPE=wayland", "-E", "XDG_SESSION_CLASS=user", "sleep", "1000")
                    #expect(await eventually { await machine.shell("loginctl --no-legend").contains("daemon") })
                    // An inhibitor does.
                    try await Self.updateDuringARecording(machine)
                    #expect(container.read("srv/health").isEmpty)
                    try await machine.run("systemctl", "stop", "recording")
                    #expect(await machine.shutsDown())
                }
                #expect(first.status == .exited(133), "it rebooted")
                try await container.boot { machine async throws in
                    let isCommitted = await machine.status(says: "Up to date (v2, code 2)")
                    let journal = await machine.journal("-o cat -n 60")
                    #expect(isCommitted, "\(journal)")
                    #expect(fixture.states == "Download ArtifactInstall ArtifactVerifyReboot ArtifactCommit Cleanup")
                    #expect(container.read("srv/health") == "checked\n")
                    let history = try await machine.run("upgradelinkctl", "history")
                    #expect(history.output.contains("installed  v2 (code 2), silent"))
                    #expect(await eventually { fixture.reports(of: 2) == [0] })
                }
            }
        }

        /// An inhibitor of logind delays a forced version for install.inhibitLimit at most, also where logind lets no user
        /// ignore an inhibitor (systemd 257).
        @Test(arguments: Suite.available)
        func anInhibitorDelaysAForcedRebootForTheLimitOnly(on suite: Suite) async throws {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 3)])
                try fixture.writeRebootingModule()
                try fixture.configure(
                    module: "rebooting", install: "gracePeriod = \"1s\"\ninhibitLimit = \"4s\"")
                let boot = try await container.boot { machine async throws in
                    try await Self.updateDuringARecording(machine)
                    let isDown = await machine.shutsDown()
                    let journal = isDown ? "" : await machine.journal("-o cat -n 40")
                    #expect(isDown, "\(journal)")
                }
                #expect(boot.status == .exited(133), "it rebooted")
            }
        }

        /// The version that runs prevents the reboot of its rollback, for example by a wrong command.
        @Test(arguments: Suite.available) func aRollbackWhoseRebootDoesNotComeIsForced(on suite: Suite) async throws {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try fixture.configure(
                    module: "rebooting",
                    install: """
                        attempts = 1
                        rebootCommand = ["/bin/true"]
                        rebootTimeout = "1s"
                        inhibitLimit = "2s"
                        healthTimeout = "2s"
                        healthProgram = ["/bin/false"]
                        """)
                let first = try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "the device cannot be rebooted: no reboot came within 1 s"))
                    try await machine.run("systemctl", "reboot")
                    #expect(await machine.shutsDown())
                }
                #expect(first.status == .exited(133))
                let second = try await container.boot { machine async throws in
                    #expect(await machine.shutsDown())
                }
                #expect(second.status == .exited(133), "it rebooted by itself")
                try await container.boot { machine async throws in
                    #expect(await machine.status(says: "failed: rolled back: the device is not healthy after 2 s"))
                    #expect(await machine.shell("cat /opt/player/version").contains("VERSION_CODE=1"))
                    #expect(await eventually { fixture.reports(of: 2) == [3] })
                }
            }
        }

        /// Version 2 breaks the agent, and the server does not run: the device rolls back by itself.
        @Test(arguments: Suite.available) func aVersionThatBreaksTheAgentIsRolledBackWithoutIt(
            on suite: Suite
        ) async throws {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try fixture.configure(module: "rebooting", install: "healthTimeout = \"5s\"\nattempts = 1")
                let breaking = """
                    #!/bin/sh
                    d=/etc/systemd/system/upgradelinkd.service.d
                    case "$1" in
                        ArtifactInstall) mkdir -p $d; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >$d/b.conf ;;
                        ArtifactRollback) rm -f $d/b.conf ;;
                    esac
                    exec /usr/lib/upgradelinkd/modules/rebooting "$@"
                    """
                try container.write("usr/lib/upgradelinkd/modules/breaking", breaking, mode: 0o755)
                let text = container.read("etc/upgradelinkd/upgradelinkd.toml")
                try container.write(
                    "etc/upgradelinkd/upgradelinkd.toml", text.replacing("\"rebooting\"", with: "\"breaking\""))
                let first = try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "upgradelinkd")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.shutsDown())
                }
                #expect(first.status == .exited(133))
                // Version 2 runs; the agent and the server do not.
                let second = try await container.boot { machine async throws in
                    #expect(await machine.shutsDown())
                }
                #expect(second.status == .exited(133), "it rebooted by itself")
                try await container.boot { machine async throws in
                    #expect(await machine.shell("cat /opt/player/version") == "VERSION=v1\nVERSION_CODE=1")
                    try await machine.run("systemctl", "start", "sim")
                    #expect(
                        await machine.status(
                            says: "The update to v2 (code 2) failed: rolled back: the device is not healthy after 5 s"))
                    #expect(
                        fixture.states
                            == "Download ArtifactInstall ArtifactVerifyReboot ArtifactRollback "
                            + "ArtifactVerifyRollbackReboot ArtifactFailure Cleanup")
                    let journal = await machine.journal("-u upgradelink-installer-resume")
                    #expect(journal.contains("upgradelinkd.service is"))
                    #expect(await eventually(within: 60) { fixture.reports(of: 2) == [3] })
                }
            }
        }
    }
}
