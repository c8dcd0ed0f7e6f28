import Glibc
import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// The units of the package, with the oldest and the newest systemd that is supported here, on a system without procps.
    @Suite struct UnitTests {
        private static let units = [
            "upgradelinkd.service", "upgradelink-installer.service", "upgradelink-installer.socket",
            "upgradelink-installer-resume.service", "upgradelink-boot.service",
        ]

        /// Boots a device whose agent runs.
        private func run(
            _ suite: Suite, _ body: @Sendable (Container, Machine, DeviceFixture) async throws -> Void
        ) async throws {
            try await Container(.debian(suite)).run { container async throws in
                let fixture = try await DeviceFixture(container)
                try await container.boot { machine async throws in
                    #expect(await !machine.has("/bin/kill", within: 0), "procps is not installed")
                    try await machine.run("systemctl", "start", "sim")
                    try await body(container, machine, fixture)
                }
            }
        }

        @Test(arguments: Suite.available) func systemdLogsNothingAboutTheUnits(on suite: Suite) async throws {
            try await run(suite) { _, machine, fixture async throws in
                // The keys are in the configuration: systemd finds no credential.
                try fixture.editOneFile()
                let start = try await machine.run(
                    [
                        "systemctl", "enable", "--now", "upgradelink-boot.service", "upgradelinkd",
                        "upgradelink-installer.socket",
                    ])
                #expect(start.isSuccess, "\(start.error)")
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                // The unit files of other packages are not ours.
                let complaints =
                    "Unknown (key|section|lvalue)|credential|Invalid syntax|not executable|deprecated|legacy"
                let journal = await machine.journal(
                    "-b --no-hostname | grep -iE '\(complaints)' | grep -i upgradelink | grep -v tmpfiles.d")
                #expect(journal == "")
                let verified = try await machine.run(["systemd-analyze", "verify", "--man=no"] + Self.units)
                #expect(verified.isSuccess)
                #expect(verified.error + verified.output == "")
            }
        }

        @Test(arguments: Suite.available) func systemdPassesTheKeys(on suite: Suite) async throws {
            try await run(suite) { _, machine, _ async throws in
                #expect(try await machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                #expect(await machine.shell("ls /run/credentials/upgradelinkd.service") == "accessKey\nsecretKey")
            }
        }

        /// Only newer releases of systemd know the settings for it.
        @Test(arguments: Suite.available) func theIntervalBetweenRestartsGrows(on suite: Suite) async throws {
            try await run(suite) { container, machine, _ async throws in
                try container.write(
                    "etc/systemd/system/upgradelinkd.service.d/test.conf", "[Service]\nRestartSec=100ms\n")
                try await machine.run("systemctl", "daemon-reload")
                #expect(try await machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                var intervals: [Int] = []
                for count in 1...3 {
                    try await machine.run("systemctl", "kill", "--signal=KILL", "upgradelinkd")
                    #expect(await eventually(within: 60) { await machine.property("NRestarts") == "\(count)" })
                    #expect(await eventually(within: 60) { await machine.property("ActiveState") == "active" })
                    intervals.append(await restartInterval(machine))
                }
                switch suite {
                case .bookworm: #expect(intervals == [0, 0, 0])
                case .trixie: #expect(0 < intervals[0] && intervals[0] < intervals[1] && intervals[1] < intervals[2])
                }
            }
        }

        /// In microseconds, before the next restart; 0 if this systemd has no such property.
        private func restartInterval(_ machine: Machine) async -> Int {
            let value = await machine.shell(
                "busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/upgradelinkd_2eservice "
                    + "org.freedesktop.systemd1.Service RestartUSecNext")
            return Int(value.dropFirst(2)) ?? 0
        }

        @Test(arguments: Suite.available) func aReloadAppliesTheConfigurationOrFails(on suite: Suite) async throws {
            try await run(suite) { container, machine, _ async throws in
                #expect(try await machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                let limit =
                    "busctl get-property org.upgradelink.Agent1 /org/upgradelink/Agent1 org.upgradelink.Agent1 SpeedLimit"
                #expect(await machine.shell(limit) == "t 0")

                let dropIn = "etc/upgradelinkd/upgradelinkd.toml.d/b.toml"
                try container.write(dropIn, "[download]\nspeedLimit = \"300K\"\n")
                let right = try await machine.run("systemctl", "reload", "upgradelinkd")
                #expect(right.isSuccess, "\(right.error)")
                #expect(await eventually { await machine.shell(limit) == "t 307200" })
                #expect(await machine.journal("-u upgradelinkd -o cat").contains("Configuration reloaded"))

                try container.write(dropIn, "[download]\nspeedLimit = \"fast\"\n")
                let wrong = try await machine.run("systemctl", "reload", "upgradelinkd")
                #expect(!wrong.isSuccess)
                #expect(wrong.error.contains("Job for upgradelinkd.service failed"))
                #expect(await machine.status(says: "The configuration was not reloaded: /\(dropIn)"))
                #expect(await machine.property("ActiveState") == "active")
                #expect(await machine.shell(limit) == "t 307200", "the old configuration stays effective")
                #expect(
                    await machine.journal("-u upgradelinkd -o cat _COMM=upgradelinkd").contains(
                        "download.speedLimit: found the text \"fast\""))

                // What only the running agent can see.
                try container.write(dropIn, "[state]\ndirectory = \"/srv/other\"\n")
                #expect(try await !machine.run("systemctl", "reload", "upgradelinkd").isSuccess)
                #expect(
                    await machine.status(says: "The configuration was not reloaded: the configuration: state.directory")
                )

                container.remove(dropIn)
                #expect(try await machine.run("systemctl", "reload", "upgradelinkd").isSuccess)
                #expect(await eventually { await machine.shell(limit) == "t 0" })
            }
        }

        /// In the directory that the package brings, with the service's own rights.
        @Test(arguments: Suite.available) func theServiceWritesItsMetrics(on suite: Suite) async throws {
            try await run(suite) { container, machine, _ async throws in
                let file = "/run/upgradelinkd-metrics/upgradelinkd.prom"
                try container.write("etc/upgradelinkd/upgradelinkd.toml.d/m.toml", "[metrics]\nfile = \"\(file)\"\n")
                #expect(try await machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                #expect(await machine.has(file))
                #expect(await machine.shell("stat -c '%U %a' \(file)") == "upgradelinkd 644")
                #expect(
                    await machine.shell("setpriv --reuid=65534 --clear-groups cat \(file)").contains(
                        "upgradelink_state{"))

                // Elsewhere the service has no right to write, and says so once.
                try container.write(
                    "etc/upgradelinkd/upgradelinkd.toml.d/m.toml",
                    "[metrics]\nfile = \"/var/lib/prometheus/node-exporter/upgradelinkd.prom\"\n")
                try await machine.run("install", "-d", "-o", "upgradelinkd", "/var/lib/prometheus/node-exporter")
                #expect(try await machine.run("systemctl", "reload", "upgradelinkd").isSuccess)
                let warnings = "-u upgradelinkd -o cat | grep -c 'metrics.file cannot be written'"
                #expect(await eventually { await machine.journal(warnings) == "1" })
                #expect(await !machine.has(file, within: 0), "the old file is removed")

                // The drop-in of the examples gives it the right.
                let example = "\(repositoryDirectory)/docs/examples/metrics-directory.conf"
                try container.write(
                    "etc/systemd/system/upgradelinkd.service.d/metrics-directory.conf",
                    String(decoding: try Files.read(example, limit: 65_536), as: UTF8.self))
                try await machine.run("systemctl", "daemon-reload")
                #expect(try await machine.run("systemctl", "restart", "upgradelinkd").isSuccess)
                #expect(await machine.has("/var/lib/prometheus/node-exporter/upgradelinkd.prom"))
                #expect(await machine.journal(warnings) == "1")
            }
        }
    }
}
