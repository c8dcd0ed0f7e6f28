import Host
import Simulator
import Subprocess
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Upgrades {
    /// What a package's upgrade, removal, new installation and purge leave running, on a real systemd.
    @Suite struct PackageLifeTests {
        // MARK: versions of the package

        /// Other agents that a newer package may have.
        private enum Agent: String, CaseIterable {
            case right
            /// As with a configuration that it refuses.
            case refuses = "exit 78"
            case crashes = "exit 1"
            /// It is never ready.
            case hangs = "exec sleep 10000"
            /// It is never ready, and must be killed.
            case isDeaf = "trap '' TERM; while :; do sleep 1; done"
        }

        private static let processes = "pgrep -l 'upgradelinkd|upgradelink-fet|upgradelink-ins'"

        private static let versionFile = "/usr/share/device/version"

        /// Writes /srv/NAME.deb: the package with another version, and with another agent.
        ///
        /// - Parameter code: for the device's version file, which the package then contains.
        private func pack(
            _ name: String, _ version: String, _ agent: Agent = .right, code: Int? = nil, in container: Container
        ) async throws {
            try await execute("cp", [try PackageLayer.package, "\(container.root)/srv/\(name).deb"])
            try container.write("srv/agent", "#!/bin/sh\n\(agent.rawValue)\n", mode: 0o755)
            let line = """
                dpkg-deb -R /srv/\(name).deb /srv/package
                sed -i 's/^Version: .*/Version: \(version)/' /srv/package/DEBIAN/control
                if [ '\(agent)' != right ]; then cp --remove-destination /srv/agent /srv/package/usr/sbin/upgradelinkd; fi
                if [ -n '\(code.map(String.init) ?? "")' ]; then
                    install -d /srv/package/usr/share/device
                    echo VERSION_CODE=\(code ?? 0) >/srv/package\(Self.versionFile)
                fi
                dpkg-deb -Znone --root-owner-group -b /srv/package /srv/\(name).deb
                rm -r /srv/package
                """
            try await execute("chroot", [container.root, "env", "-u", "TMPDIR", "sh", "-ec", line])
        }

        /// - Parameter versions: see ``DeviceFixture``.
        @discardableResult
        private func makeDevice(
            _ container: Container, versions: [(code: Int, type: Int)] = []
        ) async throws -> DeviceFixture {
            // A machine for tests may forbid packages to start services.
            container.remove("usr/sbin/policy-rc.d")
            return try await DeviceFixture(container, versions: versions)
        }

        private func dpkg(_ machine: Machine, _ arguments: String...) async throws {
            let result = try await machine.run(["dpkg", "--force-downgrade"] + arguments)
            #expect(result.isSuccess, "\(arguments): \(result.output) \(result.error)")
        }

        /// Waits until the agent is in this state (ActiveState).
        private func agentIs(_ state: String, _ machine: Machine) async -> Bool {
            await eventually { await machine.property("ActiveState") == state }
        }

        private func run(_ body: @Sendable (Container, Machine) async throws -> Void) async throws {
            try await Container().run { container async throws in
                try await makeDevice(container)
                try await pack("one", "1.0", in: container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    try await dpkg(machine, "-i", "/srv/one.deb")
                    #expect(await machine.status(says: "Up to date"))
                    try await body(container, machine)
                }
            }
        }

        // MARK: upgrades

        /// The version before is installed again, as the module `deb` does at a rollback. No agent makes dpkg fail.
        @Test func theAgentRunsAgainAfterEveryKindOfFailedUpgrade() async throws {
            try await run { container, machine async throws in
                for (number, agent) in Agent.allCases.enumerated() where agent != .right {
                    try await pack("two", "2.\(number)", agent, in: container)
                    try await dpkg(machine, "-i", "/srv/two.deb")
                    #expect(await machine.property("ActiveState") != "active", "\(agent)")
                    try await dpkg(machine, "-i", "/srv/one.deb")
                    #expect(await machine.status(says: "Up to date"), "\(agent)")
                    #expect(await machine.property("ActiveState", of: "upgradelink-installer.socket") == "active")
                }
                // One that the operator has not enabled was running as well.
                try await machine.run("systemctl", "disable", "upgradelinkd")
                try await pack("two", "3.0", .refuses, in: container)
                try await dpkg(machine, "-i", "/srv/two.deb")
                #expect(await agentIs("failed", machine))
                try await dpkg(machine, "-i", "/srv/one.deb")
                #expect(await agentIs("active", machine))
            }
        }

        @Test func anAgentThatTheOperatorStoppedOrMaskedStaysStopped() async throws {
            try await run { container, machine async throws in
                try await pack("two", "2.0", in: container)
                try await machine.run("systemctl", "stop", "upgradelinkd")
                try await dpkg(machine, "-i", "/srv/two.deb")
                #expect(await machine.property("ActiveState") == "inactive")
                try await machine.run("systemctl", "mask", "upgradelinkd")
                try await dpkg(machine, "-i", "/srv/one.deb")
                #expect(await machine.property("ActiveState") == "inactive")
                #expect(await machine.shell("systemctl is-enabled upgradelinkd") == "masked")
            }
        }

        // MARK: removals

        @Test func anAgentThatRanIsStartedByTheNextInstallation() async throws {
            try await run { container, machine async throws in
                try await dpkg(machine, "-r", "upgradelinkd")
                let left = await machine.shell("\(Self.processes); systemctl --failed --no-legend")
                #expect(left == "")
                try await dpkg(machine, "-i", "/srv/one.deb")
                #expect(await machine.status(says: "Up to date"))

                // An agent that has failed is one that ran.
                try await pack("two", "2.0", .refuses, in: container)
                try await dpkg(machine, "-i", "/srv/two.deb")
                try await dpkg(machine, "-r", "upgradelinkd")
                try await dpkg(machine, "-i", "/srv/one.deb")
                #expect(await machine.status(says: "Up to date"))

                for command in ["stop", "disable"] {
                    try await machine.run("systemctl", command, "upgradelinkd")
                    try await dpkg(machine, "-r", "upgradelinkd")
                    try await dpkg(machine, "-i", "/srv/one.deb")
                    #expect(await machine.property("ActiveState") == "inactive", "\(command)")
                    try await machine.run("systemctl", "start", "upgradelinkd")
                }
                // What is left of a removal means nothing after a purge.
                try await machine.run("systemctl", "enable", "upgradelinkd")
                try await dpkg(machine, "-r", "upgradelinkd")
                try await dpkg(machine, "-P", "upgradelinkd")
                try await dpkg(machine, "-i", "/srv/one.deb")
                #expect(await machine.property("ActiveState") == "inactive")
            }
        }

        @Test func aRemovalThatIsAbortedStartsWhatItStopped() async throws {
            try await run { container, machine async throws in
                try await machine.run("systemctl", "disable", "upgradelinkd")
                let script = "var/lib/dpkg/info/upgradelinkd.prerm"
                try container.write(script, container.read(script) + "exit 1\n", mode: 0o755)
                #expect(try await machine.run("dpkg", "-r", "upgradelinkd").isSuccess == false)
                #expect(await machine.status(says: "Up to date"))
                #expect(await machine.property("ActiveState", of: "upgradelink-installer.socket") == "active")
            }
        }

        // MARK: while an installation is pending

        /// A module that waits in a state, and a health check that waits: both are a pending installation.
        private func runPending(
            _ body: @Sendable (Container, DeviceFixture, Machine) async throws -> Void
        ) async throws {
            try await Container().run { container async throws in
                let fixture = try await makeDevice(container, versions: [(2, 2)])
                try container.write("srv/is-healthy", "#!/bin/sh\ntest -e /srv/healthy\n", mode: 0o755)
                try fixture.configure(install: "attempts = 1\nhealthProgram = [\"/srv/is-healthy\"]")
                try await pack("one", "1.0", in: container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    #expect(await eventually { container.read(Self.record).contains("checkHealth") })
                    try await body(container, fixture, machine)
                }
            }
        }

        private static let record = "var/lib/upgradelink-installer/installation.json"

        private func expectCommit(_ container: Container, _ fixture: DeviceFixture, _ machine: Machine) async throws {
            try container.write("srv/healthy", "")
            let isUpToDate = await machine.status(says: "Up to date (v2, code 2)")
            let journal = await machine.journal("-o cat -n 60")
            #expect(isUpToDate, "\(journal)")
            #expect(await eventually { fixture.reports(of: 2) == [0] })
        }

        @Test func aPendingInstallationGoesOnDuringAnUpgrade() async throws {
            try await runPending { container, fixture, machine async throws in
                try await dpkg(machine, "-i", "/srv/one.deb")
                #expect(!container.read(Self.record).contains("\"result\":"))
                try await expectCommit(container, fixture, machine)
            }
        }

        @Test func aPendingInstallationGoesOnAfterARemovalAndTheNextInstallation() async throws {
            try await runPending { container, fixture, machine async throws in
                let start = Clock.bootTime
                let removal = try await machine.run("dpkg", "-r", "upgradelinkd")
                #expect(removal.output.contains("an installation is pending"), "\(removal.output)")
                #expect(Clock.bootTime - start < 10)
                let left = await machine.shell(Self.processes)
                #expect(left == "")
                #expect(container.read(Self.record).contains("checkHealth"))
                #expect(!container.read(Self.record).contains("\"result\":"))
                try await dpkg(machine, "-i", "/srv/one.deb")
                try await expectCommit(container, fixture, machine)
            }
        }

        /// The agent is not started: the unit of the boot does it.
        @Test func aPendingInstallationGoesOnAtTheNextBootWithoutTheAgent() async throws {
            try await Container().run { container async throws in
                let fixture = try await makeDevice(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                try fixture.configure(module: "rebooting", install: "rebootCommand = [\"/bin/true\"]")
                try await pack("one", "1.0", in: container)
                let first = try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    #expect(await eventually { container.read(Self.record).contains("{\"restart\":{}}") })
                    try await machine.run("systemctl", "disable", "upgradelinkd")
                    try await dpkg(machine, "-r", "upgradelinkd")
                    try await dpkg(machine, "-i", "/srv/one.deb")
                    #expect(await machine.property("ActiveState") == "inactive")
                    // The agent is not one of the units that must be active.
                    try container.write("usr/lib/upgradelinkd/upgradelinkd.toml", "")
                    try await machine.run("systemctl", "reboot")
                    #expect(await machine.shutsDown())
                }
                #expect(first.status == .exited(133))
                try await container.boot { machine async throws in
                    let hasEnded = await eventually {
                        container.read(Self.record).contains("\"result\":{\"committed\"")
                    }
                    let journal = await machine.journal("-o cat -n 60")
                    #expect(hasEnded, "\(journal)")
                    #expect(await machine.property("ActiveState") == "inactive")
                }
            }
        }

        /// A module in one of its states is ended, because its directory is removed. The device keeps what it has.
        @Test(arguments: [true, false]) func aPurgeForgetsAPendingInstallation(inAState: Bool) async throws {
            try await Container().run { container async throws in
                let fixture = try await makeDevice(container, versions: [(2, 2)])
                try fixture.writeRebootingModule()
                if inAState { try container.write("etc/stop-at", "ArtifactInstall") }
                try fixture.configure(module: "rebooting", install: "rebootCommand = [\"/bin/true\"]")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    let record = Self.record
                    #expect(
                        inAState
                            ? await machine.has("/run/stopped")
                            : await eventually { container.read(record).contains("{\"restart\":{}}") })
                    try await machine.run("systemctl", "mask", "upgradelink-installer-resume.service")
                    let start = Clock.bootTime
                    let purge = try await machine.run("dpkg", "-P", "upgradelinkd")
                    #expect(purge.isSuccess, "\(purge.output) \(purge.error)")
                    #expect(purge.output.contains("the device keeps the version"), "\(purge.output)")
                    #expect(Clock.bootTime - start < 20)
                    #expect(await machine.shell("cat /opt/player/version").contains("VERSION_CODE=2"))
                    let left =
                        "find /etc /var /run /usr/lib /usr/sbin /lib -xdev \\( -iname '*upgradelink*' -o -user upgradelinkd -o -nouser \\) "
                        + "! -path '/run/systemd/*' ! -path '/run/upgradelinkd-sim*' 2>/dev/null; \(Self.processes); pgrep -l sleep;"
                        + "systemctl list-units --all --no-legend 'upgradelink*'"
                    let found = await machine.shell(left)
                    #expect(found == "")
                }
            }
        }

        // MARK: the agent's own update

        /// The module `deb` installs a version whose agent does not run, and rolls back: the agent of before runs, although nothing
        /// reboots the device.
        @Test(arguments: ["exit 78", "exit 1", "exec sleep 10000"])
        func anAgentThatDoesNotRunIsRolledBackToOneThatDoes(script: String) async throws {
            let agent = try #require(Agent(rawValue: script))
            try await Container().run { container async throws in
                let fixture = try await makeDevice(container, versions: [(2, 2)])
                try await pack("one", "1.0", code: 1, in: container)
                try await pack("two", "2.0", agent, code: 2, in: container)
                let store = "\(container.root)/var/lib/upgradelink-installer/packages"
                try Files.createDirectory(store)
                try await execute("cp", ["\(container.root)/srv/one.deb", "\(store)/upgradelinkd_1.0.deb"])
                try await execute("cp", ["\(container.root)/srv/two.deb", "\(container.root)/srv/v2"])
                try await fixture.sign(version: 2)
                try fixture.configure(
                    module: "deb", files: "", versionFile: Self.versionFile,
                    install: "healthTimeout = \"3s\"\nattempts = 1")
                try await container.boot { machine async throws in
                    try await dpkg(machine, "-i", "/srv/one.deb")
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    let isRolledBack = await machine.status(says: "v2 (code 2) ", within: 180)
                    let journal = await machine.journal("-o cat -n 60")
                    #expect(isRolledBack, "\(journal)")
                    #expect(await agentIs("active", machine))
                    #expect(await machine.shell("cat \(Self.versionFile)") == "VERSION_CODE=1")
                    #expect(await machine.shell("upgradelinkctl history").contains("rolledBack  v2 (code 2)"))
                    #expect(
                        await machine.shell("dpkg-query -W -f '${db:Status-Abbrev}${Version}' upgradelinkd") == "ii 1.0"
                    )
                }
            }
        }
    }
}
