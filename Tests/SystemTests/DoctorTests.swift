import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// `upgradelinkctl doctor` on a real systemd, with real mounts.
    @Suite struct DoctorTests {
        private func run(_ body: @Sendable (Container, Machine) async throws -> Void) async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date"))
                    try await body(container, machine)
                }
            }
        }

        /// The lines, without the spaces that align the names.
        private func lines(_ machine: Machine) async -> String {
            await machine.shell("upgradelinkctl doctor").replacing(#/ +/#, with: " ")
        }

        @Test func unitsThatDoNotStartAreNamed() async throws {
            try await run { container, machine async throws in
                let resume = "upgradelink-installer-resume.service"
                #expect(await lines(machine).contains("resume: \(resume) runs at each boot"))
                // The unit stays, whatever is done to the agent.
                try await machine.run("systemctl", "disable", "upgradelinkd")
                try await machine.run("systemctl", "preset-all")
                try await machine.run("systemctl", "disable", "upgradelinkd")
                var output = await lines(machine)
                #expect(output.contains("resume: \(resume) runs at each boot"), "\(output)")
                #expect(output.contains("upgradelinkd.service is active, but does not start at boot"), "\(output)")

                for unit in ["upgradelinkd.service", "upgradelink-installer.socket", resume] {
                    try await machine.run("systemctl", "mask", unit)
                }
                output = await lines(machine)
                for line in [
                    "upgradelinkd.service is masked", "upgradelink-installer.socket is masked", "\(resume) is masked",
                ] {
                    #expect(output.contains(line), "\(output)")
                }
                try await machine.run("systemctl", "unmask", resume)
                container.remove("lib/systemd/system/multi-user.target.wants/\(resume)")
                container.remove("usr/lib/systemd/system/multi-user.target.wants/\(resume)")
                try await machine.run("systemctl", "daemon-reload")
                output = await lines(machine)
                #expect(output.contains("nothing starts \(resume)"), "\(output)")
                container.remove("usr/lib/systemd/system/\(resume)")
                try await machine.run("systemctl", "daemon-reload")
                output = await lines(machine)
                #expect(output.contains("\(resume) is not there"), "\(output)")
            }
        }

        @Test func stateThatAnUpdateOrARebootRemovesIsNamed() async throws {
            try await run { container, machine async throws in
                #expect(await lines(machine).contains("state: "))
                #expect(await !lines(machine).contains("BAD state"))
                let directory = "/var/lib/upgradelink-installer"
                try await machine.run("mount", "-t", "tmpfs", "tmpfs", directory)
                var output = await lines(machine)
                #expect(output.contains("BAD state: \(directory) is in memory (tmpfs on \(directory))"), "\(output)")
                #expect(await machine.shell("upgradelinkd --check-config").contains("\(directory) is in memory"))
                try await machine.run("mount", "-o", "remount,ro", directory)
                output = await lines(machine)
                #expect(output.contains("BAD state: \(directory) is read-only"), "\(output)")
                try await machine.run("umount", directory)

                // An overlay whose changes are in memory.
                let overlay = """
                    mkdir /run/changes && mount -t tmpfs tmpfs /run/changes && mkdir /run/changes/u /run/changes/w && \
                    mount -t overlay overlay -o lowerdir=/usr/share,upperdir=/run/changes/u,workdir=/run/changes/w \(directory)
                    """
                #expect(await machine.shell(overlay) == "")
                output = await lines(machine)
                #expect(output.contains("BAD state: \(directory) is in memory (tmpfs on /run/changes)"), "\(output)")
                try await machine.run("umount", directory)

                // The agent says so when it starts.
                try await machine.run("systemctl", "stop", "upgradelinkd")
                try await machine.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib/upgradelinkd")
                try await machine.run("systemctl", "start", "upgradelinkd")
                let log = await machine.journal("-u upgradelinkd -o cat")
                #expect(log.contains("/var/lib/upgradelinkd is in memory (tmpfs on /var/lib/upgradelinkd)"), "\(log)")
            }
        }
    }
}
