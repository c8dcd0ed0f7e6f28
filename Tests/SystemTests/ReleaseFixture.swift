import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import UpdateCore

/// A tagged checkout with the scripts of this one, keys without passwords, and packages: what `make release` has before it runs
/// packaging/release.sh.
struct ReleaseFixture: Sendable {
    let scratch: Scratch
    var checkout: String { "\(scratch.path)/checkout" }
    /// Where `make deb` leaves packages.
    var packages: String { "\(scratch.path)/deb" }
    var releases: String { "\(scratch.path)/release" }
    var repository: String { "\(releases)/apt" }
    /// The architecture of this machine, as Debian names it.
    let architecture: String
    /// The file with the secret key of the apt repository.
    var repositoryKey: String { "\(scratch.path)/archive.key" }
    /// The address of the published repository.
    static let url = "http://127.0.0.1:8080/release"

    init() async throws {
        scratch = try Scratch()
        architecture = try await execute("dpkg", ["--print-architecture"]).split(separator: "\n").joined()
        for path in ["\(checkout)/packaging", packages] { try Files.createDirectory(path) }
        try await execute("sh", ["-c", "cp \(repositoryDirectory)/packaging/*.sh \(checkout)/packaging/"])
        try await git("init", "-q", "-b", "main")
        try await execute(
            "minisign", ["-G", "-W", "-p", "\(scratch.path)/sums.pub", "-s", "\(scratch.path)/sums.key"])
        try await makeRepositoryKey(repositoryKey)
    }

    /// Makes a key for the apt repository. No agent of gpg stays behind.
    func makeRepositoryKey(_ file: String) async throws {
        let line = """
            GNUPGHOME=$(mktemp -d)
            export GNUPGHOME
            trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
            gpg --batch --quiet --passphrase '' --quick-generate-key 'test archive' ed25519 sign never
            gpg --batch --quiet --export-secret-keys >\(file)
            """
        try await execute("sh", ["-ec", line])
    }

    /// Commits what names the version, and tags it.
    func tag(_ version: String = productVersion) async throws {
        try scratch.write(
            "checkout/Sources/UpdateCore/ProductVersion.swift", "public let productVersion = \"\(version)\"\n")
        try scratch.write(
            "checkout/packaging/debian/changelog",
            """
            upgradelinkd (\(version)-1) unstable; urgency=medium

              * A change.

             -- maintainers <maintainers@upgradelink.example>  Wed, 25 Nov 2026 12:00:00 +0000

            """)
        try scratch.write(
            "checkout/CHANGELOG.md",
            "# Changelog\n\n## \(version)\n\nNews of \(version).\n\n### Added\n\n- One.\n\n## 0.0.1\n\nOld news.\n")
        try await git("add", "-A")
        try await git("commit", "-q", "-m", version)
        try await git("tag", "v\(version)")
    }

    @discardableResult
    func git(_ arguments: String...) async throws -> String {
        let settings = [
            "user.name=maintainer", "user.email=maintainer@upgradelink.example", "commit.gpgSign=false",
            "tag.gpgSign=false",
        ]
        return try await execute("git", settings.flatMap { ["-c", $0] } + arguments, in: checkout)
    }

    // MARK: packages

    /// Makes a package that contains only its description.
    func addStub(_ name: String, version: String, architecture: String, as file: String? = nil) async throws {
        let control = """
            Package: \(name)
            Version: \(version)
            Architecture: \(architecture)
            Maintainer: maintainers <maintainers@upgradelink.example>
            Description: stub

            """
        try scratch.write("stub/DEBIAN/control", control, mode: 0o644)
        chmod("\(scratch.path)/stub/DEBIAN", 0o755)
        try await execute(
            "dpkg-deb",
            [
                "--root-owner-group", "-Zgzip", "-b", "\(scratch.path)/stub",
                "\(packages)/\(file ?? "\(name)_\(version)_\(architecture).deb")",
            ])
    }

    /// Stubs of both packages for the suites that this machine's architecture has.
    func addStubs(
        _ version: String = productVersion, of names: [String] = ["upgradelinkd", "upgradelink-sim"]
    ) async throws {
        for name in names {
            for suite in Suite.allCases {
                try await addStub(name, version: "\(version)-1~\(suite.mark)", architecture: architecture)
            }
        }
    }

    /// The package that `make deb` built for the suite. `make test` builds the one for this machine's release only: the other one
    /// is made of it here, with the version that it would have.
    func addPackage(for suite: Suite) async throws {
        let built = "\(repositoryDirectory)/.cache/deb"
        let meant = try Files.list(built).first {
            $0 == "upgradelinkd_\(productVersion)-1~\(suite.mark)_\(architecture).deb"
        }
        if let meant {
            try await execute("cp", ["\(built)/\(meant)", packages])
            return
        }
        let version = "\(productVersion)-1~\(suite.mark)"
        let line = """
            dpkg-deb -R "$1" unpacked
            sed -i 's/^Version: .*/Version: \(version)/' unpacked/DEBIAN/control
            dpkg-deb --root-owner-group -Zgzip -z1 -b unpacked '\(packages)/upgradelinkd_\(version)_\(architecture).deb'
            rm -r unpacked
            """
        try await execute("sh", ["-ec", line, "sh", try PackageLayer.package("upgradelinkd")], in: scratch.path)
    }

    // MARK: releasing

    /// Runs packaging/release.sh for both suites.
    func release(
        from checkout: String? = nil, to directory: String? = nil, _ variables: String...
    ) async throws -> (isSuccess: Bool, output: String) {
        try await script(
            "\(checkout ?? self.checkout)/packaging/release.sh",
            [packages, directory ?? releases] + Suite.allCases.map { "\($0)/\(architecture)" }, variables)
    }

    /// Runs a script with the keys, in an environment that has no others.
    func script(
        _ path: String, _ arguments: [String] = [], _ variables: [String] = []
    ) async throws -> (isSuccess: Bool, output: String) {
        let environment = [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=\(scratch.path)",
            "MINISIGN_KEY=\(scratch.path)/sums.key", "APT_KEY=\(repositoryKey)", "APT_URL=\(Self.url)",
        ]
        let result = try await Subprocess.run(
            .name("timeout"),
            arguments: .init(
                ["120", "env", "-i"] + environment + variables + ["sh", "-c", "exec \"$@\" 2>&1", "sh", path]
                    + arguments), input: .none, output: .string(limit: 1 << 20), error: .string(limit: 65_536))
        return (result.terminationStatus.isSuccess, result.standardOutput + result.standardError)
    }
}

extension Suite {
    /// What the version of a package for this suite ends with (packaging/version.sh).
    var mark: String {
        switch self {
        case .bookworm: "deb12u1"
        case .trixie: "deb13u1"
        }
    }
}
