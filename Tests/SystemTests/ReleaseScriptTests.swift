import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// packaging/release.sh with packages that contain nothing.
@Suite struct ReleaseScriptTests {
    private func released() async throws -> ReleaseFixture {
        let fixture = try await ReleaseFixture()
        try await fixture.tag()
        try await fixture.addStubs()
        let result = try await fixture.release()
        try #require(result.isSuccess, "\(result.output)")
        return fixture
    }

    @Test func theChecksumsAreSignedAndComplete() async throws {
        let fixture = try await released()
        let directory = "\(fixture.releases)/\(productVersion)"
        try await execute("sha256sum", ["--check", "--strict", "SHA256SUMS"], in: directory)
        let said = try await execute(
            "minisign", ["-V", "-p", "\(fixture.scratch.path)/sums.pub", "-m", "SHA256SUMS"], in: directory)
        #expect(said.contains("project=upgradelinkd version=\(productVersion) file=SHA256SUMS commit="), "\(said)")
        let sums = try fixture.scratch.read("release/\(productVersion)/SHA256SUMS")
        let files = try Files.list(directory)
        for file in files where !file.hasPrefix("SHA256SUMS") {
            #expect(sums.contains("  \(file)\n"), "\(file)")
        }
        #expect(files.filter { $0.hasSuffix(".deb") }.count == 4 && files.count == 9, "\(files)")
        let notes = try fixture.scratch.read("release/\(productVersion)/RELEASE-NOTES.md")
        #expect(notes == "# upgradelinkd \(productVersion)\n\nNews of \(productVersion).\n\n### Added\n\n- One.\n\n")
        let source = try await execute("tar", ["-tzf", "upgradelinkd-\(productVersion).tar.gz"], in: directory)
        #expect(source.contains("upgradelinkd-\(productVersion)/packaging/release.sh\n"))
    }

    /// Another clone, another umask, a later time.
    @Test func theSameCommitGivesTheSameBytes() async throws {
        let fixture = try await released()
        let clone = "\(fixture.scratch.path)/clone"
        try await execute("sh", ["-c", "umask 077; git clone -q \(fixture.checkout) \(clone)"])
        let other = "\(fixture.scratch.path)/other"
        let result = try await fixture.release(from: clone, to: other)
        #expect(result.isSuccess, "\(result.output)")
        try await execute(
            "diff", ["-r", "\(fixture.releases)/\(productVersion)", "\(other)/\(productVersion)"])
        try await execute(
            "diff",
            [
                "-r", "-x", "Release", "-x", "InRelease", "-x", "Release.gpg", fixture.repository, "\(other)/apt",
            ])
    }

    @Test(arguments: [
        ("echo x >untracked", "no commit has"),
        ("git tag -d v\(productVersion)", "there is no tag v\(productVersion): git tag -s"),
        (
            "git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m later",
            "the tag v\(productVersion) is at"
        ),
        ("sed -i 's/unstable/UNRELEASED/' packaging/debian/changelog", "is UNRELEASED"),
        ("sed -i 's/(.*)/(9.9-1)/' packaging/debian/changelog", "changelog begins with 9.9-1"),
        ("sed -i 's/## .*/## Unreleased/' CHANGELOG.md", "CHANGELOG.md begins with \"Unreleased\""),
        ("touch packaging/upgradelinkd_9.9.bb", "rename them: packaging/upgradelinkd_9.9.bb"),
    ])
    func aCheckoutThatNamesOtherVersionsIsRefused(change: String, message: String) async throws {
        let fixture = try await ReleaseFixture()
        try await fixture.tag()
        let script = "\(fixture.checkout)/packaging/release-version.sh"
        #expect(try await fixture.script(script) == (true, "\(productVersion)\n"))
        try await execute("sh", ["-ec", change], in: fixture.checkout)
        let result = try await fixture.script(script)
        #expect(!result.isSuccess && result.output.contains(message), "\(result.output)")
    }

    @Test func aReleaseWithoutAKeyNamesTheRemedy() async throws {
        let fixture = try await ReleaseFixture()
        try await fixture.tag()
        try await fixture.addStubs()
        for (variable, remedy) in [
            ("MINISIGN_KEY=", "minisign -G "), ("MINISIGN_KEY=/none", "MINISIGN_KEY=/none: there is no such file"),
            ("APT_KEY=", "gpg --quick-generate-key "), ("APT_KEY=1234ABCD", "no secret key \"1234ABCD\""),
        ] {
            let result = try await fixture.release(variable)
            #expect(!result.isSuccess && result.output.contains(remedy), "\(variable): \(result.output)")
        }
        #expect(try Files.list(fixture.releases).isEmpty)
    }

    @Test func aMissingPackageIsRefusedOrNamed() async throws {
        let fixture = try await ReleaseFixture()
        try await fixture.tag()
        try await fixture.addStubs()
        let name = "upgradelinkd_\(productVersion)-1~deb13u1_\(fixture.architecture).deb"
        unlink("\(fixture.packages)/\(name)")
        let refused = try await fixture.release()
        let missing = "upgradelinkd (trixie/\(fixture.architecture))"
        #expect(!refused.isSuccess && refused.output.contains("deb: \(missing);"), "\(refused.output)")
        #expect(try Files.list(fixture.releases).isEmpty)
        let partial = try await fixture.release("RELEASE_PARTIAL=1")
        #expect(partial.isSuccess && partial.output.contains("left out, "), "\(partial.output)")
        let notes = try fixture.scratch.read("release/\(productVersion)/RELEASE-NOTES.md")
        #expect(notes.contains("\nNot in this release: \(missing).\n"))

        // A package of another version under this name, and one that was built before the commit.
        try await fixture.addStub(
            "upgradelinkd", version: "9.9-1~deb13u1", architecture: fixture.architecture, as: name)
        let other = try await fixture.release()
        #expect(!other.isSuccess && other.output.contains("contains upgradelinkd_9.9-1~deb13u1_"), "\(other.output)")
        try await fixture.addStubs()
        try await execute("touch", ["-d", "2001-01-01", "\(fixture.packages)/\(name)"])
        let older = try await fixture.release()
        #expect(!older.isSuccess && older.output.contains("older than the commit"), "\(older.output)")
    }
}
