import Host
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Devices {
    /// The place of the units in a boot and in a shutdown.
    @Suite struct BootOrderTests {
        private static let resume = "upgradelink-installer-resume"

        /// A boot check like systemd's own, which is ordered after multi-user.target, and what marks the boot as good.
        private func addBootCheck(_ container: Container) throws {
            try container.write(
                "etc/systemd/system/boot-check.service",
                """
                [Unit]
                After=default.target graphical.target multi-user.target
                Before=boot-complete.target
                Conflicts=shutdown.target
                Before=shutdown.target
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/true
                [Install]
                RequiredBy=boot-complete.target

                """)
            try container.write(
                "etc/systemd/system/bless.service",
                """
                [Unit]
                DefaultDependencies=no
                Requires=boot-complete.target
                After=local-fs.target boot-complete.target
                Conflicts=shutdown.target
                Before=shutdown.target
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/true
                [Install]
                WantedBy=basic.target

                """)
        }

        @Test func aBootCheckAfterTheDefaultTargetDoesNotPreventTheResumption() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                // The health check waits for the check of the boot.
                try fixture.configure(module: "rebooting", install: "healthUnits = [\"boot-check.service\"]")
                try fixture.writeRebootingModule()
                try addBootCheck(container)
                // A unit of the boot that waits for the installer, as a user interface does for the agent.
                try container.write(
                    "etc/systemd/system/uses-installer.service",
                    """
                    [Unit]
                    Before=multi-user.target
                    [Service]
                    Type=oneshot
                    RemainAfterExit=yes
                    TimeoutStartSec=20s
                    ExecStart=systemctl start upgradelink-installer.service
                    [Install]
                    WantedBy=multi-user.target

                    """)
                try await container.boot { machine async throws in
                    try await machine.run(
                        "systemctl", "enable", "sim", "upgradelinkd", "boot-check", "bless", "uses-installer")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.shutsDown())
                }
                try await container.boot { machine async throws in
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    let journal = await machine.journal("-b -o cat _PID=1")
                    #expect(!journal.contains("ordering cycle"), "\(journal)")
                    #expect(await machine.property("ActiveState", of: "boot-complete.target") == "active")
                    #expect(await machine.property("InactiveExitTimestampMonotonic", of: Self.resume) != "0")
                    #expect(await machine.property("Result", of: "uses-installer") == "success")
                    #expect(fixture.states.contains("ArtifactCommit"), "\(fixture.states)")
                    let doctor = await machine.shell("upgradelinkctl doctor")
                    #expect(doctor.contains("resume: \(Self.resume).service runs at each boot"), "\(doctor)")
                }
            }
        }

        /// The unit that resumes an installation has no default dependencies.
        @Test func aPowerOffStopsTheResumedInstallation() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try container.write("srv/is-healthy", "#!/bin/sh\ntest -e /srv/healthy\n", mode: 0o755)
                try fixture.configure(
                    module: "rebooting",
                    install: "attempts = 1\nhealthProgram = [\"/srv/is-healthy\"]\nhealthUnits = []")
                try fixture.writeRebootingModule()
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.shutsDown())
                }
                // The agent is not enabled.
                try await container.boot { machine async throws in
                    #expect(
                        await eventually {
                            container.read("var/lib/upgradelink-installer/installation.json").contains("checkHealth")
                        })
                    #expect(await machine.property("ActiveState", of: Self.resume) == "active")
                    let start = Clock.bootTime
                    try await machine.run("systemctl", "poweroff")
                    #expect(await machine.shutsDown())
                    #expect(Clock.bootTime - start < 10, "it took \(Clock.bootTime - start) s")
                }
                try container.write("srv/healthy", "")
                try await container.boot { machine async throws in
                    #expect(
                        await eventually {
                            await machine.property("InactiveExitTimestampMonotonic", of: Self.resume) != "0"
                        })
                    #expect(
                        await eventually {
                            await machine.property("ActiveState", of: Self.resume) == "inactive"
                        })
                    let journal = await machine.journal("-o cat -u \(Self.resume)")
                    #expect(fixture.states.hasSuffix("ArtifactCommit Cleanup"), "\(fixture.states) \(journal)")
                    try await machine.run("systemctl", "start", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                }
            }
        }

        /// systemd waits for the worker of the check, which waits for the response.
        @Test func aServerThatNeverAnswersDoesNotDelayTheShutdown() async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container)
                // Connections are established, and never accepted.
                try container.write(
                    "etc/systemd/system/silent.socket", "[Socket]\nListenStream=127.0.0.1:8480\n")
                try container.write(
                    "etc/systemd/system/silent.service", "[Service]\nExecStart=sleep infinity\n")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "silent.socket", "upgradelinkd")
                    #expect(
                        await eventually { await machine.property("ActiveState", of: "silent.service") == "active" })
                    #expect(await machine.shell("pgrep -f upgradelink-fetch") != "")
                    let start = Clock.bootTime
                    try await machine.run("systemctl", "stop", "upgradelinkd")
                    #expect(Clock.bootTime - start < 10, "it took \(Clock.bootTime - start) s")
                    #expect(await machine.property("ActiveState") == "inactive")
                    #expect(await machine.property("Result") == "success")
                }
            }
        }

        @Test func doctorNamesUnitsThatThisBootDidNotStart() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container)
                try fixture.configure(install: "windows = [\"02:00-03:00\"]\nmissedWindows = \"boot\"")
                try container.write(
                    "etc/systemd/system/\(Self.resume).service.d/never.conf",
                    "[Unit]\nConditionPathExists=/nonexistent\n")
                try await container.boot { machine async throws in
                    func doctor() async -> String { await machine.shell("upgradelinkctl doctor") }
                    try await machine.run("systemctl", "enable", "--now", "sim")
                    try await machine.run("systemctl", "enable", "--runtime", "--now", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date"))
                    var output = await doctor()
                    #expect(
                        output.contains(/BAD +resume: upgradelink-installer-resume.service did not run in this boot/),
                        "\(output)")
                    #expect(output.contains(/BAD +unit: upgradelinkd.service is active, but enabled only until/))
                    #expect(output.contains(/BAD +boot: upgradelink-boot.service is not enabled/), "\(output)")
                    try await machine.run("systemctl", "enable", "upgradelinkd", "upgradelink-boot")
                    container.remove("etc/systemd/system/\(Self.resume).service.d/never.conf")
                    try await machine.run("systemctl", "daemon-reload")
                    try await machine.run("systemctl", "start", Self.resume)
                    output = await doctor()
                    #expect(output.contains("boot: upgradelink-boot.service is enabled"), "\(output)")
                    #expect(output.contains("unit: upgradelinkd.service is active and enabled"), "\(output)")
                    #expect(output.contains("\(Self.resume).service runs at each boot"), "\(output)")
                    try await machine.run("systemctl", "mask", "upgradelink-boot")
                    output = await doctor()
                    #expect(output.contains(/BAD +boot: upgradelink-boot.service is masked/), "\(output)")
                }
            }
        }
    }
}
