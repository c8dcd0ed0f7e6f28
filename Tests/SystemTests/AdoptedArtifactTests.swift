import Host
import TestSupport
import Testing

extension SystemTests.Devices {
    /// The units' mount namespaces do not prevent that the installer takes the artifact over.
    @Suite struct AdoptedArtifactTests {
        /// - Parameter isOnDisk: the directories are bind-mounted from a file system on a disk, as docs/ab-and-bootloaders.md says; else they
        ///   are in memory, as everything in the container.
        @Test(arguments: [false, true]) func theArtifactIsCopiedOnlyIfItMustBe(isOnDisk: Bool) async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container, versions: [(2, 2)])
                try await container.boot { machine async throws in
                    if isOnDisk {
                        let type = await machine.shell("stat -f -c %T /srv/outside")
                        try #require(["ext2/ext3", "xfs", "btrfs"].contains(type), "/tmp is on \(type)")
                        let mounted = await machine.shell(
                            """
                            for name in cache/upgradelinkd lib/upgradelink-installer; do
                                mkdir -p /var/$name /srv/outside/$name && chmod 700 /srv/outside/$name
                                mount --bind /srv/outside/$name /var/$name || echo failed
                            done 2>&1
                            chown upgradelinkd: /var/cache/upgradelinkd
                            """)
                        #expect(mounted.isEmpty, "\(mounted)")
                    }
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    let isUpToDate = await machine.status(says: "Up to date (v2, code 2)")
                    let journal = await machine.journal("-o cat -t upgradelink-installer")
                    #expect(isUpToDate, "\(journal)")
                    #expect(journal.contains("The installation is committed"), "\(journal)")
                    #expect(
                        journal.contains("the artifact is copied: its file system is not known") != isOnDisk,
                        "\(journal)")
                }
            }
        }
    }
}
