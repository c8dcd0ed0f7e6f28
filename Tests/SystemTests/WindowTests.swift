import Glibc
import Host
import TestSupport
import Testing

extension SystemTests.Devices {
    /// Devices that are off in every maintenance window.
    @Suite struct WindowTests {
        private struct Device {
            let container: Container
            let fixture: DeviceFixture
            let clock: ContainerClock
        }

        private static func device(
            _ container: Container, _ missedWindows: String, more: String = ""
        ) async throws -> Device {
            let fixture = try await DeviceFixture(container, versions: [(2, 2)])
            try fixture.configure(
                install: """
                    windows = ["02:00-03:00"]
                    windowLimit = "1h"
                    missedWindows = "\(missedWindows)"
                    idleTime = "4s"
                    \(more)
                    """)
            return Device(
                container: container, fixture: fixture, clock: try ContainerClock(container, shows: Noon.next))
        }

        /// The device downloads version 2, and is off in the window.
        private static func missTheWindow(_ device: Device, enable: String...) async throws {
            try await device.container.boot { machine async throws in
                try await machine.run(["systemctl", "enable", "sim", "upgradelinkd"] + enable)
                try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                #expect(await machine.status(says: "Ready to install v2 (code 2) in the next maintenance window"))
                try await machine.run("systemctl", "reboot")
                #expect(await machine.shutsDown())
            }
            try device.clock.advance(86_400)
        }

        /// The wall clock counts after a response of the server in this boot, or ten minutes.
        private static func hearTheServer(_ machine: Machine) async {
            #expect(await eventually { await machine.shell("upgradelinkctl check && echo asked").contains("asked") })
        }

        @Test func anOverdueVersionIsInstalledWhenTheDeviceIsIdle() async throws {
            try await Container().run { container async throws in
                let device = try await Self.device(container, "idle")
                try await Self.missTheWindow(device)
                try await container.boot { machine async throws in
                    await Self.hearTheServer(machine)
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    let journal = await machine.journal("-b -u upgradelinkd -o cat")
                    #expect(journal.contains("no maintenance window could be used for 1 d"))
                    #expect(await eventually { device.fixture.reports(of: 2) == [0] })
                }
            }
        }

        /// A graphical session that never reports counts as use; one that reports does not.
        @Test func aSessionThatIsInUseDelaysIt() async throws {
            try await Container().run { container async throws in
                let device = try await Self.device(container, "idle")
                try container.write(
                    "etc/systemd/system/kiosk.service",
                    """
                    [Unit]
                    Before=upgradelinkd.service
                    [Service]
                    User=daemon
                    PAMName=login
                    Environment=XDG_SESSION_TYPE=wayland XDG_SESSION_CLASS=user
                    ExecStart=sleep infinity
                    [Install]
                    WantedBy=multi-user.target

                    """)
                try await Self.missTheWindow(device, enable: "kiosk")
                try await container.boot { machine async throws in
                    await Self.hearTheServer(machine)
                    #expect(await machine.status(says: "the session of daemon does not report idleness"))
                    let doctor = await machine.shell("upgradelinkctl doctor")
                    #expect(doctor.contains(/BAD +updates:/) && doctor.contains("SetIdleHint"), "\(doctor)")
                    #expect(doctor.contains("install.windows"), "\(doctor)")
                    let setHint = """
                        for session in $(loginctl --no-legend list-sessions | awk '{print $1}'); do
                            busctl call org.freedesktop.login1 "$(busctl call org.freedesktop.login1 \
                            /org/freedesktop/login1 org.freedesktop.login1.Manager GetSession s $session | cut -d'"' -f2)" \
                            org.freedesktop.login1.Session SetIdleHint b
                        """
                    _ = await machine.shell("\(setHint) true; done")
                    _ = await machine.shell("\(setHint) false; done")
                    #expect(await machine.status(says: "(daemon is active)"))
                    _ = await machine.shell("\(setHint) true; done")
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                }
            }
        }

        @Test func anOverdueVersionIsInstalledBeforeTheUserInterfaceStarts() async throws {
            try await Container().run { container async throws in
                let device = try await Self.device(container, "boot", more: "healthUnits = [\"ui.service\"]")
                try container.write(
                    "etc/systemd/system/ui.service",
                    """
                    [Unit]
                    After=upgradelink-boot.service
                    [Service]
                    ExecStart=sh -c 'cat /opt/player/version >>/srv/ui; exec sleep infinity'
                    [Install]
                    WantedBy=multi-user.target

                    """)
                try await Self.missTheWindow(device, enable: "ui", "upgradelink-boot")
                #expect(container.read("srv/ui").isEmpty, "it was not started in the first boot")
                try await container.boot { machine async throws in
                    await Self.hearTheServer(machine)
                    #expect(await machine.status(says: "right after the next boot; no maintenance window"))
                    try container.write("srv/ui", "")
                    try await machine.run("systemctl", "reboot")
                    #expect(await machine.shutsDown())
                }
                try await container.boot { machine async throws in
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    // The health check needed the user interface, which ran version 2 from the beginning.
                    #expect(await eventually { container.read("srv/ui").contains("VERSION_CODE=2") })
                    #expect(!container.read("srv/ui").contains("VERSION_CODE=1"), "\(container.read("srv/ui"))")
                    #expect(await machine.property("Result", of: "upgradelink-boot") == "success")
                }
                // Without anything to install the unit ends at once; and also without an agent.
                try await container.boot { machine async throws in
                    #expect(await machine.property("ActiveState", of: "upgradelink-boot") == "active")
                    try await machine.run("systemctl", "stop", "upgradelinkd", "upgradelink-boot")
                    #expect(try await machine.run("systemctl", "start", "upgradelink-boot").isSuccess)
                }
            }
        }

        @Test func consentToAnOverdueVersionIsRequested() async throws {
            try await Container().run { container async throws in
                let device = try await Self.device(container, "ask")
                let signals = try SignalLog(container)
                try await Self.missTheWindow(device, enable: "signals")
                try await container.boot { machine async throws in
                    await Self.hearTheServer(machine)
                    #expect(
                        await machine.status(says: "Waiting for consent to install v2 (code 2); no maintenance window"))
                    #expect(await eventually { signals.consentRequests == 1 })
                    #expect(try await machine.run("upgradelinkctl", "accept").isSuccess)
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                }
            }
        }
    }
}
