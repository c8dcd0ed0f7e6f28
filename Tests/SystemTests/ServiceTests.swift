import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Packages {
    /// upgradelinkd as a service of systemd, controlled with systemctl, on a clean Debian 12 and 13.
    @Suite struct ServiceTests {
        @Test(arguments: Suite.available) func theEnabledServiceUpdatesTheDeviceAndLogsIt(on suite: Suite) async throws
        {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.configure(more: "[download]\nspeedLimit = \"150K\"")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim")
                    // What an operator sees who looks again and again. UpdateTests has every status that the agent sends.
                    let watching = Task {
                        var seen: [String] = []
                        while !Task.isCancelled {
                            let text = await machine.property("StatusText")
                            if !text.isEmpty, text != seen.last { seen.append(text) }
                        }
                        return seen
                    }
                    let start = try await machine.run("systemctl", "enable", "--now", "upgradelinkd")
                    #expect(start.isSuccess, "\(start.error)")
                    #expect(await machine.property("ActiveState") == "active", "READY came")
                    #expect(await machine.status(says: "Up to date (v2, code 2); next check "))
                    watching.cancel()
                    let seen = await watching.value
                    #expect(seen.contains { $0.hasPrefix("Downloading v2: ") && $0.contains(" % of ") }, "\(seen)")
                    try await expectLogEntries(of: machine)
                    #expect(await eventually { fixture.reports(of: 2) == [0] })
                    #expect(await machine.property("User") == "upgradelinkd")
                }
            }
        }

        private func expectLogEntries(of machine: Machine) async throws {
            let entry = await machine.journal("-u upgradelinkd -o json MESSAGE_ID=1057c47a1d814e3792314eced6c864b0")
            for field in [
                "\"MESSAGE\":\"Installed v2 (code 2)\"", "\"UPGRADELINK_VERSION_CODE\":\"2\"",
                "\"UPGRADELINK_VERSION_NAME\":\"v2\"", "\"UPGRADELINK_UPGRADE_TYPE\":\"silent\"", "\"PRIORITY\":\"5\"",
            ] {
                #expect(entry.contains(field), "\(field) in \(entry)")
            }
            try await machine.run("journalctl", "--update-catalog")
            let explained = await machine.journal("-x -u upgradelinkd")
            #expect(explained.contains("Subject: Version v2 is installed"))
            #expect(explained.contains("The device runs version v2, code 2, and says so itself."))
            #expect(!explained.contains("sk\n"))
            #expect(!explained.contains("thread priority"), "libdispatch logs no warning")
            #expect(try await machine.run("upgradelinkctl", "status").isSuccess)
            let doctor = try await machine.run("upgradelinkctl", "doctor")
            #expect(doctor.isSuccess, "\(doctor.output)")
        }

        @Test(arguments: Suite.available) func anInvalidConfigurationGivesStatus78AndNoRestart(
            on suite: Suite
        ) async throws {
            try await Container(.debian(suite)).run { container async throws in
                try container.write("etc/upgradelinkd/upgradelinkd.toml", "[poll]\ninterval = \"soon\"\n")
                try await container.boot { machine async throws in
                    #expect(try await !machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                    #expect(await machine.property("ExecMainStatus") == "78")
                    #expect(await machine.property("NRestarts") == "0")
                    #expect(await machine.property("ActiveState") == "failed")
                    #expect(await machine.property("StatusText").contains("poll.interval: found the text \"soon\""))
                }
            }
        }

        @Test(arguments: Suite.available) func systemctlReloadAppliesAValidConfiguration(on suite: Suite) async throws {
            try await Container(.debian(suite)).run { container async throws in
                _ = try await DeviceFixture(container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v1, code 1)"))
                    try container.write("etc/upgradelinkd/upgradelinkd.toml.d/b.toml", "[poll]\ninterval = \"soon\"\n")
                    try await machine.run("systemctl", "reload", "upgradelinkd")
                    #expect(await machine.status(says: "The configuration was not reloaded: "))
                    #expect(await machine.property("ActiveState") == "active")
                    container.remove("etc/upgradelinkd/upgradelinkd.toml.d/b.toml")
                    try await machine.run("systemctl", "reload", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v1, code 1)"))
                    // If the stop took too long, systemd would kill the service and report a failure.
                    #expect(try await machine.run("systemctl", "stop", "upgradelinkd").isSuccess)
                    #expect(await machine.property("Result") == "success")
                }
            }
        }

        /// A download is resumed after the service was stopped, and after the watchdog ended it.
        @Test(arguments: Suite.available) func aDownloadResumesAfterAStopAndAfterTheWatchdog(
            on suite: Suite
        ) async throws {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)], ballast: 6_000_000)
                try fixture.configure(more: "[download]\nspeedLimit = \"300K\"")
                try container.write(
                    "etc/systemd/system/upgradelinkd.service.d/test.conf",
                    "[Service]\nWatchdogSec=3s\nRestartSec=200ms\n")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.downloads(from: 10))
                    #expect(try await machine.run("systemctl", "stop", "upgradelinkd").isSuccess)
                    #expect(try await machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                    #expect(await machine.downloads(from: 40))
                    let pid = await machine.property("MainPID")
                    _ = await machine.shell("kill -STOP \(pid)")
                    #expect(await eventually(within: 60) { await machine.property("NRestarts") == "1" })
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    #expect(await machine.property("MainPID") != pid)
                    let log = container.readOutside("sim.log")
                    #expect(log.matches(of: #/GET /files/v2 bytes=\d{4,}-/#).count >= 2, "\(log)")
                    #expect(log.matches(of: #/POST /v1/url/upgrade.*runs 1 /#).count == 1, "polled once: \(log)")
                }
            }
        }
    }
}
