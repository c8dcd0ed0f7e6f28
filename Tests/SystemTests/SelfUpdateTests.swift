import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing

extension SystemTests.Packages {
    /// The agent updates itself from the real 0.1.0 and is rolled back; each version reads the files of the other.
    @Suite struct SelfUpdateTests {
        /// Made from the repository's history by packaging/earlier-release.sh.
        private static let earlier = "\(repositoryDirectory)/.cache/releases/0.1.0"

        private static var package: String? {
            (try? Files.list(earlier))?.first { $0.hasSuffix(".deb") }.map { "\(earlier)/\($0)" }
        }

        private static let versionFile = "/usr/share/device/version"

        /// A device with 0.1.0 from its package, for which the server may offer versions 3 and 4, both of them this version.
        private func run(
            more: String = "", _ body: @Sendable (Container, DeviceFixture) async throws -> Void
        ) async throws {
            let earlier = try #require(Self.package)
            try await Container(.cleanDebian(.bookworm)).run { container async throws in
                try await PackageTests.install(earlier, container, .bookworm)
                let fixture = try await DeviceFixture(container, versions: [(2, 1)])
                // Version 1 is 0.1.0; its package is stored where the module looks for it at a rollback.
                let store = "\(container.root)/var/lib/upgradelink-installer/packages"
                try await repack(earlier, container, code: 1, version: "0.1.0", at: "\(store)/upgradelinkd_0.1.0.deb")
                try await execute("chroot", [container.root, "dpkg", "-i", "/srv/package.deb"])
                // Version 3 does not pass the health check, version 4 does.
                for (code, version) in [(3, "0.2.0~3"), (4, "0.2.0~4")] {
                    try await repack(
                        try PackageLayer.package, container, code: code, version: version,
                        at: "\(container.root)/srv/v\(code)")
                    try await fixture.sign(version: code)
                }
                try fixture.configure(
                    module: "deb", files: "restart = \"Automatic\"", versionFile: Self.versionFile,
                    install: "healthProgram = [\"/srv/is-healthy\"]\nhealthTimeout = \"3s\"\nattempts = 1", more: more,
                    settle: "")
                try container.write(
                    "srv/is-healthy",
                    """
                    #!/bin/sh
                    cp /var/lib/upgradelinkd/state.json /srv/stored-by-0.2.0
                    ! grep -q VERSION_CODE=3 \(Self.versionFile)
                    """, mode: 0o755)
                try await body(container, fixture)
            }
        }

        private static let requirement: ConditionTrait = .enabled(
            if: package != nil, "there is no package of 0.1.0: make test builds it from the history")

        @Test(requirement) func stateSurvivesTheUpdateAndTheRollback() async throws {
            try await run { container, fixture async throws in try await update(container, fixture) }
        }

        /// An option has another name in the new version: its agent does not start, and its installer rolls back all the same.
        @Test(requirement) func aConfigurationOf010DoesNotPreventTheRollback() async throws {
            try await run(more: "[download]\nfolder = \"/var/cache/upgradelinkd\"\n") {
                container, fixture async throws in
                try fixture.offer([(4, 2)])
                let first = try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    // Nothing reboots the device by itself, since the new agent does not start: the user switches it off and on.
                    #expect(
                        await eventually(within: 180) {
                            container.read("var/lib/upgradelink-installer/installation.json").contains(
                                "{\"restart\":{}}")
                        })
                    try await machine.run("systemctl", "reboot")
                    #expect(await machine.shutsDown(within: 180))
                }
                #expect(first.status == .exited(133))
                let second = try await container.boot { machine async throws in
                    try await expectReboot(machine)
                }
                #expect(second.status == .exited(133))
                try await container.boot { machine async throws in
                    #expect(await machine.status(says: "v4 (code 4) ", within: 180))
                    #expect(await programs(machine) == "0.1.0\nVERSION_CODE=1")
                    let history = await machine.shell("upgradelinkctl history")
                    #expect(
                        history.contains("rolledBack  v4 (code 4)") && history.contains("download.folder"), "\(history)"
                    )
                    #expect(damaged(container).isEmpty)
                }
            }
        }

        private func update(_ container: Container, _ fixture: DeviceFixture) async throws {
            // 0.1.0 has a history: version 2 was rejected.
            let first = try await container.boot { machine async throws in
                try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                #expect(await machine.status(says: "Waiting for consent to install v2", within: 180))
                #expect(try await machine.run("upgradelinkctl", "reject").isSuccess)
                try fixture.offer([(3, 2)])
                try await machine.run("systemctl", "restart", "sim")
                try await machine.run("upgradelinkctl", "check")
                try await expectReboot(machine)
            }
            #expect(first.status == .exited(133))
            // 0.2.0 resumes the installation that 0.1.0 began, and rolls it back.
            let second = try await container.boot { machine async throws in
                try await expectReboot(machine)
            }
            #expect(second.status == .exited(133))
            #expect(container.read("srv/stored-by-0.2.0").contains("\"format\":2"))
            // 0.1.0 again: it has kept its state, and knows the result of the update.
            let third = try await container.boot { machine async throws in
                #expect(await machine.status(says: "v3 (code 3) ", within: 180))
                #expect(await programs(machine) == "0.1.0\nVERSION_CODE=1")
                let history = await machine.shell("upgradelinkctl history")
                #expect(
                    history.contains("rolledBack  v3 (code 3)") && history.contains("rejected  v2 (code 2)"),
                    "\(history)")
                #expect(damaged(container).isEmpty)
                // The rejected version and the failed one are not installed again.
                try fixture.offer([(2, 1), (3, 2)])
                try await machine.run("systemctl", "restart", "sim")
                try await machine.run("upgradelinkctl", "check")
                #expect(await machine.has("/var/lib/upgradelinkd/state.json"))
                try fixture.offer([(4, 2)])
                try await machine.run("systemctl", "restart", "sim")
                try await machine.run("upgradelinkctl", "check")
                try await expectReboot(machine)
            }
            #expect(third.status == .exited(133))
            try await container.boot { machine async throws in
                #expect(await machine.status(says: "Up to date (code 4)", within: 180))
                #expect(await programs(machine).hasSuffix("VERSION_CODE=4"))
                #expect(await programs(machine).hasPrefix("0.2.0"))
                let history = await machine.shell("upgradelinkctl history")
                for line in ["installed  v4 (code 4)", "rolledBack  v3 (code 3)", "rejected  v2 (code 2)"] {
                    #expect(history.contains(line), "\(history)")
                }
                #expect(damaged(container).isEmpty)
            }
        }

        /// The agent or the installer reboots the device; otherwise the test shows what they logged.
        private func expectReboot(_ machine: Machine) async throws {
            guard await !machine.shutsDown(within: 180) else { return }
            Issue.record("no reboot: \(await machine.journal("-n 30 -o cat -t upgradelinkd -t upgradelink-installer"))")
        }

        private func programs(_ machine: Machine) async -> String {
            await machine.shell("upgradelinkd --version; cat \(Self.versionFile)")
        }

        private func damaged(_ container: Container) -> [String] {
            ["var/lib/upgradelinkd", "var/lib/upgradelink-installer"].flatMap { directory in
                ((try? Files.list("\(container.root)/\(directory)")) ?? []).filter { $0.hasSuffix(".damaged") }
            }
        }

        /// Adds the device's version file to the package, as the publisher of a device does.
        private func repack(
            _ package: String, _ container: Container, code: Int, version: String, at path: String
        ) async throws {
            try await execute("cp", [package, "\(container.root)/srv/package.deb"])
            let line = """
                dpkg-deb -R /srv/package.deb /srv/package
                sed -i 's/^Version: .*/Version: \(version)/' /srv/package/DEBIAN/control
                install -d /srv/package/usr/share/device
                echo VERSION_CODE=\(code) >/srv/package\(Self.versionFile)
                dpkg-deb -Zgzip -z1 --root-owner-group -b /srv/package /srv/package.deb
                rm -r /srv/package
                """
            try await execute("chroot", [container.root, "env", "-u", "TMPDIR", "sh", "-ec", line])
            try Files.createDirectory(Files.directory(of: path))
            try await execute("cp", ["\(container.root)/srv/package.deb", path])
        }
    }
}
