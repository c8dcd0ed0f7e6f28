import Host
import Subprocess
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Devices {
    /// What counts as healthy, on a real systemd.
    @Suite struct HealthTests {
        /// systemd stops the agent and the checked units first: that is no failure of the version, and must not delay the power-off.
        @Test func aPowerOffDuringTheHealthCheckCountsNothing() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try container.write("srv/is-healthy", "#!/bin/sh\ntest -e /srv/healthy\n", mode: 0o755)
                try fixture.configure(install: "attempts = 1\nhealthProgram = [\"/srv/is-healthy\"]")
                let off = try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(
                        await eventually {
                            container.read("var/lib/upgradelink-installer/installation.json").contains("checkHealth")
                        })
                    let start = Clock.bootTime
                    try await machine.run("systemctl", "poweroff")
                    #expect(await machine.shutsDown())
                    #expect(Clock.bootTime - start < 10, "it took \(Clock.bootTime - start) s")
                }
                #expect(off.status == .exited(0), "it is off, and did not reboot")
                try container.write("srv/healthy", "")
                try await container.boot { machine async throws in
                    let isUpToDate = await machine.status(says: "Up to date (v2, code 2)")
                    let journal = await machine.journal("-o cat -n 40")
                    #expect(isUpToDate, "\(journal)")
                    #expect(await eventually { fixture.reports(of: 2) == [0] })
                }
            }
        }

        /// A program that ends at once, and is started again and again, is active now and then. It does not pass; one that keeps
        /// running does, and so does a program that asks a server of the device.
        @Test func aServiceThatEndsAndIsRestartedIsNotHealthy() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                let unit = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=100ms\nExecStart="
                try container.write("etc/systemd/system/broken.service", unit + "/bin/false\n")
                try container.write("etc/systemd/system/player.service", unit + "/bin/sleep 10000\n")
                try container.write(
                    "etc/systemd/system/once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
                let check = "exec 3<>/dev/tcp/127.0.0.1/8480"
                @Sendable func configure(_ units: String) throws {
                    try fixture.configure(
                        install: """
                            attempts = 3
                            healthTimeout = "6s"
                            healthUnits = [\(units)]
                            healthProgram = ["/bin/bash", "-c", "\(check)"]
                            """)
                }
                try configure("\"broken.service\"")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "broken", "player", "sim", "upgradelinkd")
                    let hasFailed = await machine.status(says: "broken.service ")
                    let history = await machine.shell("upgradelinkctl history")
                    #expect(hasFailed, "\(history)")
                    #expect(history.contains("not healthy after 6 s: broken.service "), "\(history)")
                    #expect(await machine.shell("cat /opt/player/version").contains("VERSION_CODE=1"))
                    // The operator's units add to those of the vendor.
                    let effective = await machine.shell("upgradelinkctl config")
                    #expect(effective.contains("[\"upgradelinkd.service\", \"broken.service\"]"), "\(effective)")

                    try configure("\"player.service\", \"once.service\", \"absent.service\"")
                    for command in ["upgradelinkd --check-config", "upgradelinkctl doctor"] {
                        let output = await machine.shell("\(command) 2>&1")
                        #expect(output.contains("once.service is a oneshot service"), "\(output)")
                        #expect(output.contains("absent.service does not exist"), "\(output)")
                    }
                    try configure("\"player.service\"")
                    #expect(await machine.shell("upgradelinkd --check-config") == "The configuration is right.")
                    try await machine.run("systemctl", "reload", "upgradelinkd")
                    try await machine.run("upgradelinkctl", "retry", "2")
                    let isUpToDate = await machine.status(says: "Up to date (v2, code 2)")
                    let journal = await machine.journal("-o cat -n 40")
                    #expect(isUpToDate, "\(journal)")
                }
            }
        }
    }
}
