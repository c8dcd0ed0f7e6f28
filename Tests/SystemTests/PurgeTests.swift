import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// A purge on a device whose state is on a partition of its own.
    @Suite struct PurgeTests {
        @Test func whatIsMountedOrReadOnlyDoesNotStopThePurge() async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd", "upgradelink-boot")
                    #expect(await machine.status(says: "Up to date"))
                    let mounts = """
                        mkdir /srv/state && mount --bind /srv/state /var/lib/upgradelinkd && touch /srv/state/file
                        mkdir /run/changes && mount -t tmpfs tmpfs /run/changes && mkdir /run/changes/u /run/changes/w
                        mount -t overlay overlay -o lowerdir=/etc/upgradelinkd,upperdir=/run/changes/u,workdir=/run/changes/w \
                            /etc/upgradelinkd
                        mount --bind -o ro /etc/credstore /etc/credstore
                        mkdir /etc/systemd/system/upgradelink-boot.service.d
                        """
                    _ = await machine.shell("systemctl stop upgradelinkd; \(mounts)")
                    #expect(try await machine.run("dpkg", "-r", "upgradelinkd").isSuccess)
                    let purge = try await machine.run("dpkg", "-P", "upgradelinkd")
                    #expect(purge.isSuccess, "\(purge.output) \(purge.error)")
                    let line = try #require(purge.output.split(separator: "\n").first { $0.contains("not removed") })
                    for path in [
                        "/etc/upgradelinkd", "/var/lib/upgradelinkd", "/etc/credstore/upgradelinkd.accessKey",
                        "/etc/credstore/upgradelinkd.secretKey",
                    ] {
                        #expect(line.contains(" \(path)"), "\(line)")
                    }
                    #expect(await machine.shell("ls /srv/state /etc/upgradelinkd").split(separator: "\n").count == 2)
                    #expect(await machine.shell("ls -d /var/lib/upgradelink-installer /var/cache/upgradelinkd") == "")
                    #expect(await machine.shell("find /etc/systemd/system -name 'upgradelink*'") == "")
                    #expect(await machine.shell("dpkg-query -W upgradelinkd") == "")
                    #expect(await machine.shell("getent passwd upgradelinkd") == "")
                }
            }
        }
    }
}
