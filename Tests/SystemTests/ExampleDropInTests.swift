import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// The examples of docs/examples, on a device that follows their comments.
    @Suite struct ExampleDropInTests {
        @Test func aDeviceWithSealedKeysItsOwnStatePartitionAndLessMemoryIsUpdated() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                let places = [
                    ("sealed-credentials.conf", ["systemd/system/upgradelinkd.service.d"]),
                    ("memory.conf", ["systemd/system/upgradelinkd.service.d"]),
                    ("state-partition.conf", ["systemd/system/upgradelinkd.service.d"]),
                    (
                        "state-partition-installer.conf",
                        [
                            "systemd/system/upgradelink-installer.service.d",
                            "systemd/system/upgradelink-installer-resume.service.d",
                        ]
                    ), ("state-partition.toml", ["upgradelinkd/upgradelinkd.toml.d"]),
                ]
                for (name, directories) in places {
                    let bytes = try Files.read("\(repositoryDirectory)/docs/examples/\(name)", limit: 1 << 16)
                    for directory in directories {
                        try container.write("etc/\(directory)/\(name)", String(decoding: bytes, as: UTF8.self))
                    }
                }
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim")
                    // This machine has no TPM: the key of the host instead.
                    let sealing = await machine.shell(
                        """
                        set -eu
                        mkdir -p /etc/credstore.encrypted
                        for name in accessKey secretKey; do
                            tr -d '\\n' </etc/credstore/upgradelinkd.$name | systemd-creds encrypt --name=$name --with-key=host - \
                                /etc/credstore.encrypted/upgradelinkd.$name
                        done 2>&1
                        rm -f /etc/credstore/upgradelinkd.*
                        install -d -o upgradelinkd -g upgradelinkd -m 700 /data/upgradelinkd /data/upgradelinkd/state \
                            /data/upgradelinkd/downloads
                        install -d -m 700 /data/upgradelink-installer
                        grep -qxF ak /etc/credstore.encrypted/upgradelinkd.accessKey || echo sealed
                        """)
                    #expect(sealing.hasSuffix("sealed"), "\(sealing)")
                    let start = try await machine.run("systemctl", "start", "upgradelinkd")
                    #expect(start.isSuccess, "\(start.error)")
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    #expect(await eventually { fixture.reports(of: 2) == [0] })
                    #expect(await machine.property("MemoryMax") == "\(128 << 20)")
                    let state = await machine.shell(
                        "ls /data/upgradelinkd/state /data/upgradelink-installer /var/lib/upgradelinkd")
                    #expect(state.contains("state.json") && state.contains("floor.json"), "\(state)")
                    #expect(
                        await machine.shell("ls /var/lib/upgradelinkd /var/lib/upgradelink-installer 2>/dev/null")
                            .contains(".json") == false)
                }
            }
        }
    }
}
