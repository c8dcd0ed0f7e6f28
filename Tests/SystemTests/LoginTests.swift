import Host
import TestSupport
import Testing

extension SystemTests.Devices {
    /// An overdue version on devices without logind, and with a user interface on a terminal.
    @Suite struct LoginTests {
        /// Boots a device that has missed its window with version 2.
        ///
        /// - Parameter prepare: a line of shell for the first boot.
        private func miss(
            _ container: Container, _ prepare: String, then body: @Sendable (Machine) async throws -> Void
        ) async throws {
            let fixture = try await DeviceFixture(container, versions: [(2, 2)])
            try fixture.configure(
                install: "windows = [\"02:00-03:00\"]\nwindowLimit = \"1h\"\nidleTime = \"4s\"")
            let clock = try ContainerClock(container, shows: Noon.next)
            try await container.boot { machine async throws in
                _ = await machine.shell(prepare)
                try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                #expect(await machine.status(says: "Ready to install v2 (code 2) in the next maintenance window"))
                try await machine.run("systemctl", "reboot")
                #expect(await machine.shutsDown())
            }
            try clock.advance(86_400)
            try await container.boot(body)
        }

        /// The bus could still start logind: its activation file is there.
        @Test(arguments: [
            "systemctl mask systemd-logind",
            "rm -f /usr/lib/systemd/system/*logind* /usr/lib/systemd/system/*login1* /usr/lib/systemd/system/*/*logind*",
        ])
        func withoutLogindNoUserIsLoggedIn(remove: String) async throws {
            try await Container().run { container async throws in
                try await miss(container, remove) { machine async throws in
                    #expect(
                        await machine.shell("busctl call org.freedesktop.login1 / org.freedesktop.DBus.Peer Ping") == ""
                    )
                    let isInstalled = await machine.status(says: "Up to date (v2, code 2)")
                    let status = await machine.shell("upgradelinkctl status")
                    #expect(isInstalled, "\(status)")
                }
            }
        }

        /// As with agetty --autologin, and a compositor in the same session.
        @Test func aSessionOnATerminalOfTheDeviceIsNotIdle() async throws {
            try await Container().run { container async throws in
                // logind counts the virtual terminals of the machine if this name is there.
                try container.write(
                    "etc/systemd/system/systemd-logind.service.d/terminals.conf",
                    "[Service]\nExecStartPre=+touch /dev/tty0\n")
                try container.write(
                    "etc/systemd/system/kiosk.service",
                    """
                    [Unit]
                    Before=upgradelinkd.service
                    [Service]
                    User=daemon
                    PAMName=login
                    Environment=XDG_SESSION_TYPE=tty XDG_SESSION_CLASS=user XDG_SEAT=seat0 XDG_VTNR=7
                    ExecStart=sleep infinity
                    [Install]
                    WantedBy=multi-user.target

                    """)
                try await miss(container, "systemctl enable kiosk") { machine async throws in
                    let isDelayed = await machine.status(says: "the session of daemon does not report idleness")
                    let sessions = await machine.shell(
                        "loginctl show-session $(loginctl --no-legend | awk '{print $1}')")
                    #expect(isDelayed, "\(sessions)")
                    #expect(sessions.contains("Type=tty") && sessions.contains("VTNr=7"), "\(sessions)")
                    let doctor = await machine.shell("upgradelinkctl doctor")
                    #expect(doctor.contains(/BAD +updates:/) && doctor.contains("install.missedWindows"), "\(doctor)")
                }
            }
        }
    }
}
