import Host
import Simulator
import TestSupport
import Testing

extension SystemTests.Packages {
    /// The configuration file that the package of 0.1.0 brought, after an upgrade.
    @Suite struct TemplateTests {
        private static let place = "etc/upgradelinkd/upgradelinkd.toml"
        private static let earlier = "\(repositoryDirectory)/.cache/releases/0.1.0/upgradelinkd_0.1.0_amd64.deb"

        /// It has section headers: options that are appended belong to the last one.
        @Test(.enabled(if: Files.exists(earlier), "there is no package of 0.1.0: make test builds it from the history"))
        func anUnchangedOneIsReplaced() async throws {
            let unpacked = try Scratch()
            try await execute("dpkg-deb", ["-x", Self.earlier, unpacked.path])
            let template = try unpacked.read("usr/share/upgradelinkd/upgradelinkd.toml")
            #expect(template.contains("\n[server]\n"))
            try await Container(.cleanDebian(.bookworm)).run { container async throws in
                let package = try PackageLayer.package
                try container.write(Self.place, template)
                try await PackageTests.install(package, container, .bookworm)
                #expect(container.read(Self.place).contains("\n#device.urlKey = "))

                // One that has been changed stays, as every configuration file.
                try container.write(Self.place, template + "# mine\n")
                try await execute("chroot", [container.root, "dpkg", "-i", "/root/upgradelinkd.deb"])
                #expect(container.read(Self.place) == template + "# mine\n")
            }
        }
    }
}
