import Glibc
import Host
import TestSupport
import Testing

extension SystemTests.Power {
    /// The power is cut, and unsynced data is lost. At each moment the device then completes the update, or tries again. The
    /// offer is not lost: the server would not send it a second time.
    @Suite struct PowerLossTests {
        struct Moment: Sendable, CustomTestStringConvertible {
            var name: String
            /// Waits until the device has reached this moment.
            var reached: @Sendable (Machine) async -> Bool
            /// The state of the module, or the health check, that stops at this moment.
            var stopAt: String?
            /// The moment is after the reboot.
            var inSecondBoot = false
            /// What an inhibitor delays.
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
                name: "before the reboot", reached: { await $0.status(says: "Rebooting delayed by") },
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

        @Test(arguments: moments, Suite.available)
        func aPowerCutLosesNothing(when moment: Moment, on suite: Suite) async throws {
            try await Container(.debianOnDisk(suite)).run { container async throws in
                let fixture = try await prepare(container, moment)
                if moment.inSecondBoot {
                    try await container.boot { machine async throws in
                        try await start(machine, moment)
                        #expect(await machine.shutsDown())
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
                // The roll-out quota is consumed: the server would not send a lost offer again.
                try fixture.offer([])
                try await runToTheEnd(container, fixture)
                let states = fixture.states
                #expect(states.contains("ArtifactCommit Cleanup"), "\(states)")
                #expect(states.split(separator: " ").last == "Cleanup", "\(states)")
            }
        }

        func prepare(_ container: Container, _ moment: Moment) async throws -> DeviceFixture {
            let fixture = try await DeviceFixture(container, versions: [(2, 2)], ballast: 2_000_000)
            try fixture.writeRebootingModule()
            try fixture.configure(
                module: "rebooting", install: "healthProgram = [\"/srv/is-healthy\"]",
                more: "[download]\nspeedLimit = \"400K\"")
            try container.write(
                "srv/is-healthy",
                "#!/bin/sh\n[ \"$(cat /etc/stop-at)\" != health ] || { touch /run/stopped; sleep 1000; }\n", mode: 0o755
            )
            try container.write("etc/stop-at", moment.stopAt ?? "")
            // The power cut must not lose the files that the test wrote.
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

        /// Boots the device until it is up to date and has reported that: a version that was rolled back is tried again, with its
        /// reboots.
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
