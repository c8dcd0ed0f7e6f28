import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Releases {
    /// apt installs from the repository of a release, over HTTP, in clean installations of Debian that have no network but loopback.
    @Suite struct AptRepositoryTests {
        private static let requirement = "packaging/dependencies.sh test makes .cache/debian/SUITE-apt.tar"
        private static var suites: [Suite] { Suite.available.filter { Files.exists($0.packages) } }

        @Test(.enabled(if: !suites.isEmpty, "\(requirement)"), arguments: suites)
        func aptInstallsWhatIsSignedAndNothingElse(on suite: Suite) async throws {
            let fixture = try await ReleaseFixture()
            try await fixture.tag()
            for suite in Suite.allCases { try await fixture.addPackage(for: suite) }
            // The simulator's package would only make the test longer.
            try await fixture.addStubs(of: ["upgradelink-sim"])
            let released = try await fixture.release()
            try #require(released.isSuccess, "\(released.output)")
            try await Attack.prepare(fixture, suite)

            try await Container(.cleanDebian(suite)).run { container async throws in
                try await execute("tar", ["-xf", suite.packages, "-C", container.root])
                try await execute(
                    "cp",
                    [
                        "\(fixture.repository)/upgradelink-archive-keyring.gpg",
                        "\(container.root)/usr/share/keyrings/",
                    ])
                try await container.boot { machine async throws in
                    try await WebServer.run("\(fixture.scratch.path)/www", in: machine) {
                        for attack in Attack.allCases {
                            try await expectRefusal(attack, fixture, suite, container, machine)
                        }
                        try await expectInstallation(fixture, suite, container, machine)
                        // What a device does when its Debian is upgraded. The package of Debian 13 needs libraries of Debian 13.
                        if suite == .trixie { try await expectUpgrade(fixture, container, machine) }
                    }
                }
            }
        }

        private func expectInstallation(
            _ fixture: ReleaseFixture, _ suite: Suite, _ container: Container, _ machine: Machine
        ) async throws {
            try use("release", suite, fixture, container)
            let update = try await apt("update", machine)
            #expect(update.isSuccess && !update.output.contains("W:"), "\(update.output)")
            let install = try await apt("install -y upgradelinkd", machine)
            #expect(install.isSuccess, "\(install.output)")
            #expect(install.output.contains("http://127.0.0.1:8080/release \(suite)/main"), "\(install.output)")
            let version = await installed(machine)
            #expect(version == "\(productVersion)-1~\(suite.mark)")
            #expect(await machine.shell("upgradelinkd --version") == productVersion)
            // Nothing is left to upgrade.
            #expect(try await apt("update", machine).isSuccess)
            #expect(try await apt("dist-upgrade -y", machine, ours: true).output.contains("0 upgraded"))
        }

        private func expectUpgrade(
            _ fixture: ReleaseFixture, _ container: Container, _ machine: Machine
        ) async throws {
            #expect(try await apt("purge -y upgradelinkd", machine).isSuccess)
            try use("release", .bookworm, fixture, container)
            #expect(try await apt("update", machine).isSuccess)
            let install = try await apt("install -y upgradelinkd", machine)
            #expect(install.isSuccess, "\(install.output)")
            #expect(await installed(machine).hasSuffix("~deb12u1"))
            try use("release", .trixie, fixture, container)
            #expect(try await apt("update", machine).isSuccess)
            let upgrade = try await apt("dist-upgrade -y", machine, ours: true)
            #expect(upgrade.isSuccess, "\(upgrade.output)")
            #expect(await installed(machine).hasSuffix("~deb13u1"))
        }

        private func expectRefusal(
            _ attack: Attack, _ fixture: ReleaseFixture, _ suite: Suite, _ container: Container, _ machine: Machine
        ) async throws {
            try use(attack.rawValue, suite, fixture, container)
            let update = try await apt("update", machine)
            #expect(update.isSuccess == (attack == .package), "\(attack): \(update.output)")
            let install = try await apt("install -y upgradelinkd", machine)
            #expect(!install.isSuccess, "\(attack): \(install.output)")
            let said = update.output + install.output
            #expect(attack.isReported(said), "\(attack): \(said)")
            #expect(await installed(machine) == "", "\(attack)")
        }

        // MARK: apt

        /// Writes the source list, as a user does after reading README.md.
        private func use(
            _ directory: String, _ suite: Suite, _ fixture: ReleaseFixture, _ container: Container
        ) throws {
            let text = try fixture.scratch.read("release/apt/upgradelink-\(suite).sources")
            #expect(text.contains("\nURIs: \(ReleaseFixture.url)\n"))
            try container.write(
                "etc/apt/sources.list.d/upgradelink.sources", text.replacing("8080/release", with: "8080/\(directory)"))
        }

        /// The version, or nothing.
        private func installed(_ machine: Machine) async -> String {
            await machine.shell("dpkg-query -W -f '${Version}' upgradelinkd 2>/dev/null")
        }

        /// - Parameter ours: uses no other source. Debian's servers cannot be reached: their lists come with the container.
        private func apt(
            _ command: String, _ machine: Machine, ours: Bool = false
        ) async throws -> (isSuccess: Bool, output: String) {
            let only =
                "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/upgradelink.sources -o Dir::Etc::sourceparts=- "
                + "-o APT::Get::List-Cleanup=0"
            let options = ours || command == "update" ? only : ""
            let result = try await Subprocess.run(
                .name("timeout"),
                arguments: [
                    "200", "nsenter", "-t", "\(machine.pid)", "-a", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
                    "DEBIAN_FRONTEND=noninteractive",
                    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "sh", "-c", "exec apt-get \(options) --no-install-recommends \(command) 2>&1",
                ], input: .none, output: .string(limit: 1 << 20), error: .string(limit: 65_536))
            return (result.terminationStatus.isSuccess, result.standardOutput + result.standardError)
        }
    }
}

/// Serves a directory of this machine on the loopback interface of a container.
private enum WebServer {
    static func run(_ directory: String, in machine: Machine, _ body: @Sendable () async throws -> Void) async throws {
        _ = try await Subprocess.run(
            .name("timeout"),
            arguments: [
                "500", "nsenter", "-t", "\(machine.pid)", "-n", "python3", "-m", "http.server", "--bind", "127.0.0.1",
                "--directory", directory, "8080",
            ], input: .none, output: .discarded, error: .discarded
        ) { server in
            defer { kill(server.processIdentifier.value, SIGTERM) }
            let isUp = await eventually(within: 30) {
                (try? await machine.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080"))?.isSuccess == true
            }
            guard isUp else { throw Machine.Failure(description: "no web server answers on port 8080") }
            try await body()
        }
    }
}
