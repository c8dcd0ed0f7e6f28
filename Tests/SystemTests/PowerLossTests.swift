import Glibc
import Host
import TestSupport
import Testing

extension SystemTests {
    /// The power goes, with all that was not synced: whatever moment it is, the device ends with the new version, or tries
    /// again, and the offer, which the server would not make a second time, is not lost.
    @Suite struct PowerLossTests {
        struct Moment: Sendable, CustomTestStringConvertible {
            var name: String
            /// What the device does by then.
            var reached: @Sendable (Machine) async -> Bool
            /// The state of the module, or the health check, that stands still then.
            var stopAt: String?
            /// A restart comes before it.
            var inSecondBoot = false
            /// Delayed by an inhibitor.
            var inhibit: String?
            var testDescription: String { name }
        }

        static let moments: [Moment] = [
            Moment(name: "the download begins", reached: { await $0.status(says: "Downloading v2") }),
            Moment(name: "a third is downloaded", reached: { await $0.downloads(from: 33) }),
            Moment(name: "most is downloaded", reached: { await $0.downloads(from: 80) }),
            Moment(
                name: "it is staged", reached: { await $0.status(says: "Ready to install v2") }, inhibit: "install"),
            Moment(name: "Download", reached: { await $0.has("/run/stopped") }, stopAt: "Download"),
            Moment(name: "ArtifactInstall", reached: { await $0.has("/run/stopped") }, stopAt: "ArtifactInstall"),
            Moment(
                name: "before the restart", reached: { await $0.status(says: "Rebooting delayed by") },
                inhibit: "reboot"),
            Moment(
                name: "ArtifactVerifyReboot", reached: { await $0.has("/run/stopped") },
                stopAt: "ArtifactVerifyReboot", inSecondBoot: true),
            Moment(
                name: "the health check", reached: { await $0.has("/run/stopped") }, stopAt: "health",
                inSecondBoot: true),
            Moment(
                name: "ArtifactCommit", reached: { await $0.has("/run/stopped") }, stopAt: "ArtifactCommit",
                inSecondBoot: true),
            Moment(
                name: "Cleanup", reached: { await $0.has("/run/stopped") }, stopAt: "Cleanup", inSecondBoot: true),
        ]

        @Test(arguments: moments) func thePowerGoes(when moment: Moment) async throws {
            try await Container(.ext4).run { container async throws in
                let fixture = try await furnish(container, moment)
                if moment.inSecondBoot {
                    try await container.boot { machine async throws in
                        try await start(machine, moment)
                        #expect(await machine.goesDown())
                    }
                }
                try await container.boot { machine async throws in
                    if !moment.inSecondBoot { try await start(machine, moment) }
                    let isReached = await moment.reached(machine)
                    let status = await machine.property("StatusText")
                    try #require(isReached, "\(status)")
                    try container.cutPower(machine)
                }
                try await container.restorePower()
                container.remove("etc/stop-at")
                // The server's roll-out is used up: an offer that is lost now is lost for good.
                try fixture.offer([])
                try await runToTheEnd(container, fixture)
                let states = fixture.states
                #expect(states.contains("ArtifactCommit Cleanup"), "\(states)")
                #expect(states.split(separator: " ").last == "Cleanup", "\(states)")
            }
        }

        func furnish(_ container: Container, _ moment: Moment) async throws -> DeviceFixture {
            let fixture = try await DeviceFixture(container, versions: [(2, 2)], ballast: 2_000_000)
            try fixture.writeRestartingModule()
            try fixture.configure(
                module: "restarting", install: "healthProgram = [\"/srv/is-healthy\"]",
                more: "[download]\nspeedLimit = \"400K\"")
            try container.write(
                "srv/is-healthy",
                "#!/bin/sh\n[ \"$(cat /etc/stop-at)\" != health ] || { touch /run/stopped; sleep 1000; }\n", mode: 0o755
            )
            try container.write("etc/stop-at", moment.stopAt ?? "")
            // What the test itself wrote is not what the power is cut on.
            sync()
            return fixture
        }

        func start(_ machine: Machine, _ moment: Moment) async throws {
            if let what = moment.inhibit {
                try await machine.run("systemctl", "start", "upgradelinkd")
                try await machine.run(
                    "systemd-run", "-q", "upgradelinkctl", "inhibit", "--what=\(what)", "--why=test", "--", "sleep",
                    "1000")
                #expect(await eventually { await machine.shell("upgradelinkctl status").contains("test") })
            }
            try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
            try await machine.run("systemctl", "start", "sim", "upgradelinkd")
        }

        /// Boots the device until it is up to date and the server knows: a version that was rolled back is tried again, with the
        /// restarts it wants.
        func runToTheEnd(_ container: Container, _ fixture: DeviceFixture) async throws {
            for _ in 0..<6 {
                let isDone = try await container.boot { machine async throws in
                    await eventually(within: 90) {
                        let isUpToDate = await machine.property("StatusText").contains("Up to date (v2, code 2)")
                        return isUpToDate && fixture.reports(of: 2).last == 0 || !machine.isRunning
                    } && machine.isRunning
                }.value
                if isDone { return }
            }
            Issue.record("the device is not up to date")
        }
    }
}
