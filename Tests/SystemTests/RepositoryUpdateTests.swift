import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// packaging/apt-repository.sh adds a version to a repository that has one.
@Suite struct RepositoryUpdateTests {
    private func released() async throws -> ReleaseFixture {
        let fixture = try await ReleaseFixture()
        try await fixture.tag("1.0.0")
        try await fixture.addStubs("1.0.0")
        let result = try await fixture.release()
        try #require(result.isSuccess, "\(result.output)")
        return fixture
    }

    private func releaseNext(_ fixture: ReleaseFixture, _ variables: String...) async throws -> (Bool, String) {
        try await fixture.tag("1.0.1")
        try await fixture.addStubs("1.0.1")
        return try await fixture.script(
            "\(fixture.checkout)/packaging/release.sh",
            [fixture.packages, fixture.releases] + Suite.allCases.map { "\($0)/\(fixture.architecture)" }, variables)
    }

    @Test func earlierVersionsStay() async throws {
        let fixture = try await released()
        let index = "release/apt/dists/bookworm/main/binary-\(fixture.architecture)"
        let old = try Files.list("\(fixture.scratch.path)/\(index)/by-hash/SHA256")
        let (isSuccess, output) = try await releaseNext(fixture)
        #expect(isSuccess, "\(output)")
        let packages = try fixture.scratch.read("\(index)/Packages")
        for version in ["1.0.0", "1.0.1"] {
            #expect(packages.contains("Version: \(version)-1~deb12u1\n"))
            #expect(
                fixture.scratch.exists(
                    "release/apt/pool/bookworm/upgradelinkd/upgradelinkd_\(version)-1~deb12u1_\(fixture.architecture).deb"
                ))
        }
        #expect(!packages.contains("deb13"))
        // A device that has just read the old InRelease still gets its indices.
        let new = try Files.list("\(fixture.scratch.path)/\(index)/by-hash/SHA256")
        #expect(Set(old).isStrictSubset(of: new))
        #expect(try Files.list(fixture.releases).sorted() == ["1.0.0", "1.0.1", "apt"])
    }

    /// What a stranger has changed where the repository is published must not get a new signature.
    @Test(arguments: [
        ("echo x | tee -a pool/bookworm/upgradelinkd/*.deb", "differs from the signed index"),
        ("cp pool/trixie/upgradelinkd/*.deb pool/bookworm/upgradelinkd/", "other files than the signed indices name"),
        ("echo x >>dists/trixie/main/binary-amd64/Packages", "differs from its signed InRelease"),
        ("sed -i 's/^Origin: .*/Origin: x/' dists/trixie/InRelease", "is not one of the keys"),
        ("ln -s /etc/passwd pool/passwd", "symbolic links"),
        ("rm dists/bookworm/InRelease", "has no InRelease"),
    ])
    func aChangedRepositoryIsNotSigned(change: String, message: String) async throws {
        let fixture = try await released()
        try await execute("sh", ["-ec", change], in: fixture.repository)
        let before = try fixture.scratch.read("release/apt/dists/bookworm/Release")
        let (isSuccess, output) = try await releaseNext(fixture)
        #expect(!isSuccess && output.contains(message), "\(output)")
        #expect(try fixture.scratch.read("release/apt/dists/bookworm/Release") == before)
        #expect(try Files.list(fixture.releases).sorted() == ["1.0.0", "apt"])
    }

    @Test func aPublishedFileNeverChanges() async throws {
        let fixture = try await released()
        let name = "upgradelinkd_1.0.0-1~deb12u1_\(fixture.architecture).deb"
        let pool = "release/apt/pool/bookworm/upgradelinkd/\(name)"
        let before = try await execute("sha256sum", [pool], in: fixture.scratch.path)
        try await execute("sh", ["-c", "echo x >>\(fixture.packages)/\(name)"])
        let result = try await fixture.release()
        #expect(!result.isSuccess && result.output.contains("a published file never changes"), "\(result.output)")
        #expect(try await execute("sha256sum", [pool], in: fixture.scratch.path) == before)
    }

    /// While one key replaces another, a release has a signature of each.
    @Test func aKeyIsReplacedInTwoReleases() async throws {
        let fixture = try await released()
        let (new, both) = ("\(fixture.scratch.path)/new.key", "\(fixture.scratch.path)/both.key")
        try await fixture.makeRepositoryKey(new)
        try await execute("sh", ["-c", "cat \(fixture.repositoryKey) \(new) >\(both)"])
        let abrupt = try await releaseNext(fixture, "APT_KEY=\(new)")
        #expect(!abrupt.0 && abrupt.1.contains("is not one of the keys"), "\(abrupt.1)")
        let first = try await fixture.release("APT_KEY=\(both)")
        #expect(first.isSuccess, "\(first.output)")
        let second = try await fixture.release("APT_KEY=\(new)")
        #expect(second.isSuccess, "\(second.output)")
    }
}
