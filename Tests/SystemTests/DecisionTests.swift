import Glibc
import Host
import TestSupport
import Testing

/// The wall clock of the agent and of the server in a container: the device can be off for days.
struct ContainerClock {
    private let container: Container

    init(_ container: Container, shows unixSeconds: Int = time(nil)) throws {
        self.container = container
        let library = try Files.read("\(programsDirectory)/libfakeclock.so", limit: 16 << 20)
        try Files.replace("\(container.root)/usr/local/lib/libfakeclock.so", with: library, mode: 0o755)
        for service in ["upgradelinkd", "sim"] {
            try container.write(
                "etc/systemd/system/\(service).service.d/clock.conf",
                """
                [Service]
                Environment=LD_PRELOAD=/usr/local/lib/libfakeclock.so WALL_CLOCK_OFFSET=/srv/clock

                """)
        }
        try set(unixSeconds)
    }

    func set(_ unixSeconds: Int) throws { try container.write("srv/clock", "\(unixSeconds - time(nil))") }

    func advance(_ seconds: Int) throws {
        try container.write("srv/clock", "\((Int(container.read("srv/clock")) ?? 0) + seconds)")
    }
}

/// Records the agent's signals across boots.
struct SignalLog {
    private let container: Container

    init(_ container: Container) throws {
        self.container = container
        try container.write(
            "etc/systemd/system/signals.service",
            """
            [Unit]
            Before=upgradelinkd.service
            [Service]
            ExecStart=busctl monitor org.upgradelink.Agent1
            StandardOutput=append:/srv/outside/signals.log
            [Install]
            WantedBy=multi-user.target

            """)
    }

    var consentRequests: Int {
        container.readOutside("signals.log").matches(of: /Member=ConsentRequested/).count
    }
}

extension SystemTests.Devices {
    /// What the user has decided stays decided when the device is switched off and on.
    @Suite struct DecisionTests {
        private static let day = 86_400

        /// Reboots the machine, and checks that it went down.
        private static func reboot(_ machine: Machine) async throws {
            try await machine.run("systemctl", "reboot")
            #expect(await machine.shutsDown())
        }

        @Test func aDeferralOfTwoDaysLastsAcrossReboots() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 1)])
                try fixture.configure()
                let clock = try ContainerClock(container)
                let signals = try SignalLog(container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim", "upgradelinkd", "signals")
                    try await machine.run("systemctl", "start", "sim", "signals", "upgradelinkd")
                    #expect(await machine.status(says: "Waiting for consent to install v2"))
                    #expect(await eventually { signals.consentRequests == 1 })
                    #expect(try await machine.run("upgradelinkctl", "defer", "2d").isSuccess)
                    #expect(await machine.status(says: "asking again on "))
                    try await Self.reboot(machine)
                }
                for _ in 0..<3 {
                    try clock.advance(Self.day / 2)
                    try await container.boot { machine async throws in
                        #expect(await machine.status(says: "asking again"))
                        let status = try await machine.run("upgradelinkctl", "status").output
                        #expect(status.contains("2 left"), "\(status)")
                        #expect(signals.consentRequests == 1, "it is not announced again")
                        try await Self.reboot(machine)
                    }
                }
                try clock.advance(Self.day / 2 + 60)
                try await container.boot { machine async throws in
                    // The clock counts after a response of the server, or ten minutes.
                    #expect(
                        await eventually { await machine.shell("upgradelinkctl check && echo asked").contains("asked") }
                    )
                    #expect(await eventually { signals.consentRequests == 2 })
                    #expect(try await machine.run("upgradelinkctl", "accept", "--tonight").isSuccess == false)
                    let refusal = try await machine.run("upgradelinkctl", "accept", "--tonight").error
                    #expect(refusal.contains("install.windows"), "\(refusal)")
                    #expect(try await machine.run("upgradelinkctl", "accept").isSuccess)
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                }
            }
        }

        @Test func aCancellationLastsAcrossAReboot() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                // In local time, which is UTC, a window that is not open soon.
                let clock = try ContainerClock(container, shows: Noon.next)
                try fixture.configure(install: "windows = [\"02:00-03:00\"]")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Ready to install v2 (code 2) in the next maintenance window"))
                    #expect(try await machine.run("upgradelinkctl", "cancel").isSuccess)
                    #expect(await machine.status(says: "waits: cancelled"))
                    try await Self.reboot(machine)
                }
                try clock.advance(3600)
                try await container.boot { machine async throws in
                    #expect(await machine.status(says: "waits: cancelled"))
                    try await machine.run("systemctl", "reload", "upgradelinkd")
                    #expect(
                        await eventually {
                            await machine.journal("-b -u upgradelinkd -o cat").contains(
                                "Configuration reloaded")
                        })
                    #expect(await machine.status(says: "waits: cancelled"), "a reload does not end it")
                    try await Self.reboot(machine)
                }
                try clock.advance(30 * 3600)
                try await container.boot { machine async throws in
                    #expect(
                        await eventually { await machine.shell("upgradelinkctl check && echo asked").contains("asked") }
                    )
                    #expect(await machine.status(says: "Ready to install v2 (code 2) in the next maintenance window"))
                }
            }
        }
    }
}

enum Noon {
    /// Noon of the next day in UTC.
    static var next: Int { (time(nil) / 86_400 + 1) * 86_400 + 43_200 }
}
