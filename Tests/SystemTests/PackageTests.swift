import Glibc
import Host
import Simulator
import TestSupport
import Testing

extension SystemTests.Packages {
    /// The package on a clean, minimal Debian.
    @Suite struct PackageTests {
        @Test(arguments: Suite.available)
        func thePackageIsInstalledUpgradedRemovedAndPurged(on suite: Suite) async throws {
            try await Container(.cleanDebian(suite)).run { container async throws in
                try await Self.install(try PackageLayer.package, container, suite)
                let installed = container.read("etc/upgradelinkd/upgradelinkd.toml")
                #expect(installed.contains("#device.urlKey = "), "the annotated configuration is there")
                let fixture = try await DeviceFixture(container, versions: [(2, 2), (3, 2)])
                try fixture.offer([(2, 2)])
                try fixture.editOneFile()
                let newer = try await newerPackage(container)
                try await container.boot { machine async throws in
                    // Installing the package does not start the service.
                    #expect(await machine.property("ActiveState") == "inactive")
                    try await machine.run("systemctl", "start", "sim")
                    #expect(
                        await machine.shell("stat -c '%U:%G %a' /etc/upgradelinkd/upgradelinkd.toml")
                            == "root:upgradelinkd 640")
                    let start = try await machine.run("systemctl", "enable", "--now", "upgradelinkd")
                    #expect(start.isSuccess, "\(start.error)")
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))

                    // An upgrade keeps the stored state and restarts the service.
                    let pid = await machine.property("MainPID")
                    let upgrade = try await machine.run("dpkg", "-i", newer)
                    #expect(upgrade.isSuccess, "\(upgrade.output) \(upgrade.error)")
                    #expect(await machine.property("ActiveState") == "active")
                    #expect(await machine.property("MainPID") != pid)
                    #expect(await machine.shell("upgradelinkctl history").contains("installed  v2 (code 2), silent"))
                    try fixture.offer([(3, 2)])
                    try await machine.run("systemctl", "restart", "sim")
                    try await machine.run("upgradelinkctl", "check")
                    #expect(await machine.status(says: "Up to date (v3, code 3)"))

                    // A removal keeps the configuration and the stored state.
                    #expect(try await machine.run("apt-get", "remove", "-y", "upgradelinkd").isSuccess)
                    #expect(
                        await machine.shell(
                            "cat /proc/[0-9]*/comm | grep -E '^upgradelink(d|-fet|-ins)'; ls /usr/sbin/upgradelinkd 2>/dev/null"
                        ).isEmpty)
                    #expect(
                        await machine.shell("ls /etc/upgradelinkd/upgradelinkd.toml /var/lib/upgradelinkd").contains(
                            "state.json"))

                    // A purge removes everything, and only what is ours.
                    try container.write("etc/credstore/upgradelinkd.accessKey", "ak\n", mode: 0o600)
                    try container.write("etc/credstore/upgradelinkd.secretKey", "sk\n", mode: 0o600)
                    try container.write("etc/credstore/other.secret", "x\n", mode: 0o600)
                    try container.write("etc/credstore.encrypted/upgradelinkd.secretKey", "x\n", mode: 0o600)
                    #expect(try await machine.run("apt-get", "purge", "-y", "upgradelinkd").isSuccess)
                    let left =
                        "find / -xdev \\( -iname '*upgradelink*' -o -user upgradelinkd -o -nouser \\) "
                        + "! -path '/proc/*' ! -path '/opt/*' ! -path '/run/systemd/*' "
                        + "! -path '/usr/local/*' ! -path '/srv/*' ! -path '/sys/*' 2>/dev/null"
                    #expect(await machine.shell(left) == "")
                    #expect(await machine.shell("grep upgradelink /etc/passwd /etc/group") == "")
                    #expect(await machine.shell("ls /etc/credstore") == "other.secret")
                    #expect(await machine.shell("ls -d /etc/credstore.encrypted") == "/etc/credstore.encrypted")
                }
            }
        }

        /// Installs the package as "apt install ./upgradelinkd_*.deb" does, with its dependencies from Debian and no other package:
        /// what a minimal Debian lacks, such as procps, is missing there too.
        static func install(_ package: String, _ container: Container, _ suite: Suite) async throws {
            for mount in ["proc", "sys", "dev"] {
                try await execute("mount", ["--rbind", "/\(mount)", "\(container.root)/\(mount)"])
                try await execute("mount", ["--make-rslave", "\(container.root)/\(mount)"])
            }
            defer { for mount in ["proc", "sys", "dev"] { umount2("\(container.root)/\(mount)", CInt(MNT_DETACH)) } }
            try await execute("cp", [package, "\(container.root)/root/upgradelinkd.deb"])
            try await execute("tar", ["-xf", suite.packages, "-C", container.root])
            try await execute(
                "chroot",
                [
                    container.root, "env", "-u", "TMPDIR", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y",
                    "-qq", "--no-install-recommends", "/root/upgradelinkd.deb",
                ])
            try await PackageLayer.installServer(container.root)
        }

        /// The same package with a higher version, below /srv.
        private func newerPackage(_ container: Container) async throws -> String {
            let line = """
                dpkg-deb -R /root/upgradelinkd.deb /srv/package
                sed -i 's/^Version: .*/Version: 99.0/' /srv/package/DEBIAN/control
                dpkg-deb -Zgzip -z1 --root-owner-group -b /srv/package /srv/newer.deb
                rm -r /srv/package
                """
            try await execute("chroot", [container.root, "env", "-u", "TMPDIR", "sh", "-ec", line])
            return "/srv/newer.deb"
        }
    }
}
