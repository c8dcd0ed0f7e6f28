import Glibc
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Host
@testable import Installation

/// Each step of the adoption of a staged artifact, and of its return, alone. AdoptionTests has the hostile owner.
@Suite(
    .enabled(
        if: getuid() == 0 && (try? Directory("/tmp"))?.handle.hasReliableLeases == true,
        "another user's files need root, and /tmp reliable leases"))
struct AdoptionStepTests {
    private static let agent: uid_t = 65_534

    private let scratch: Scratch
    private let files: Directory
    private let place: StagedArtifact
    private var staged: String { "\(scratch.path)/staging/2.artifact" }
    private var adopted: String { "\(scratch.path)/files/artifact" }

    init() throws {
        scratch = try Scratch()
        for name in ["staging", "files"] { try Files.createDirectory("\(scratch.path)/\(name)") }
        files = try Directory("\(scratch.path)/files")
        place = StagedArtifact(directory: "\(scratch.path)/staging", name: "2.artifact", adoptedName: "artifact")
        chown("\(scratch.path)/staging", Self.agent, Self.agent)
        try stage()
    }

    private func stage(_ text: String = "new") throws {
        try scratch.write("staging/2.artifact", text)
        chown(staged, Self.agent, Self.agent)
    }

    private func adopt() throws -> AdoptedArtifact { try AdoptedArtifact(Files.open(staged), place, into: files) }

    private func refusal(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return (error as? AdoptedArtifact.Refusal)?.description ?? "\(error)" }
        return nil
    }

    /// Owner, group, mode and number of names.
    private func status(_ path: String) -> [Int] {
        FileStatus(path).map { [Int($0.user), Int($0.group), Int($0.mode), $0.linkCount] } ?? []
    }

    // MARK: taking over

    @Test func onlyRootHasWhatWasTakenOver() async throws {
        try await execute(
            "python3", ["-c", "import os, sys; os.setxattr(sys.argv[1], 'user.note', b'x')", staged])
        let artifact = try adopt()
        #expect(status(adopted) == [0, 0, 0o600, 2] && artifact.isUndisturbed)
        let names = try await execute("python3", ["-c", "import os, sys; print(os.listxattr(sys.argv[1]))", adopted])
        #expect(names == "[]\n")
        try artifact.separate()
        #expect(status(adopted) == [0, 0, 0o600, 1] && status(staged) == [])
        #expect(try files.file(.artifact).status.identity == artifact.file.status.identity)
    }

    @Test func attributesAreRefused() async throws {
        try await execute("chattr", ["+d", staged])
        #expect(refusal { _ = try adopt() } == "it has attributes (lsattr)")
        #expect(status(staged) == [65_534, 65_534, 0o600, 1] && status(adopted) == [])
    }

    @Test func anotherNameIsRefused() throws {
        try Files.link(staged, as: "\(scratch.path)/staging/second")
        #expect(refusal { _ = try adopt() } == "it has other names")
        #expect(status(staged) == [65_534, 65_534, 0o600, 2] && status(adopted) == [])
    }

    @Test func anotherOwnerIsRefused() throws {
        chown(staged, 4242, Self.agent)
        #expect(refusal { _ = try adopt() } == "it belongs to user 4242")
        chown(staged, 0, 0)
        #expect(refusal { _ = try adopt() } == nil, "one that was given back is root's")
    }

    @Test func anotherFileIsRefused() throws {
        let passed = try Files.open(staged)
        rename(staged, "\(scratch.path)/staging/hidden")
        try stage("forged")
        #expect(
            refusal { _ = try AdoptedArtifact(passed, place, into: files) }
                == "\(staged) is not the file that came with the request")
        #expect(status(staged) == [65_534, 65_534, 0o600, 1] && status(adopted) == [])
    }

    /// The agent can still read it, and nothing else.
    @Test func aFileThatIsOpenForWritingIsShared() throws {
        let writer = try OpenFile(staged, O_WRONLY)
        #expect(refusal { _ = try adopt() } == "another process has it open for writing")
        withExtendedLifetime(writer) {}
        #expect(status(staged) == [0, 65_534, 0o440, 1] && status(adopted) == [])
    }

    // MARK: separating

    @Test func aNameThatCameLaterIsRefused() throws {
        let artifact = try adopt()
        try Files.link(adopted, as: "\(scratch.path)/second")
        #expect(refusal { try artifact.separate() } == "it has other names")
    }

    @Test func anotherFileInItsPlaceIsNotRemoved() throws {
        let artifact = try adopt()
        unlink(staged)
        try stage("another one")
        #expect(refusal { try artifact.separate() } == nil)
        #expect(status(staged) == [65_534, 65_534, 0o600, 1] && status(adopted) == [0, 0, 0o600, 1])
    }

    @Test func anAttemptToWriteIsNoticed() throws {
        let artifact = try adopt()
        #expect(open(adopted, O_WRONLY | O_NONBLOCK) < 0)
        #expect(refusal { try artifact.separate() } == "it was opened for writing")
    }

    // MARK: holding again

    @Test func whatIsHeldAgainMustBeRootsAlone() throws {
        try adopt().separate()
        let held = try AdoptedArtifact(again: place, in: files)
        #expect(held.isUndisturbed)
        #expect(open(adopted, O_WRONLY | O_NONBLOCK) < 0)
        #expect(!held.isUndisturbed)
    }

    @Test func whatIsNotRootsAloneIsNotHeldAgain() throws {
        try adopt().separate()
        try Files.link(adopted, as: "\(scratch.path)/second")
        let reason = "the artifact has other names, or owners"
        #expect(refusal { _ = try AdoptedArtifact(again: place, in: files) } == reason)
        unlink("\(scratch.path)/second")
        chown(adopted, Self.agent, 0)
        #expect(refusal { _ = try AdoptedArtifact(again: place, in: files) } == reason)
        chown(adopted, 0, 0)
        let writer = try OpenFile(adopted, O_WRONLY)
        #expect(
            refusal { _ = try AdoptedArtifact(again: place, in: files) } == "another process has it open for writing")
        withExtendedLifetime(writer) {}
    }

    // MARK: the return

    @Test func theReturnGivesTheAgentTheRightToRead() throws {
        try adopt().separate()
        for _ in 1...2 {
            #expect(try place.giveBack(from: files) == .returned)
            #expect(status(staged) == [0, 65_534, 0o440, 2])
        }
    }

    /// The power failed before it was taken over: it is still the agent's, as it was.
    @Test func whatWasOnlyLinkedStaysTheAgents() throws {
        try Files.link(staged, as: adopted)
        #expect(try place.giveBack(from: files) == .returned)
        #expect(status(staged) == [65_534, 65_534, 0o600, 2])
        try place.discard(from: files)
        #expect(status(staged) == [65_534, 65_534, 0o600, 2])
    }

    /// The power failed before the rights were given.
    @Test func whatWasOnlyTakenOverIsShared() throws {
        try Files.link(staged, as: adopted)
        chown(staged, 0, 0)
        #expect(try place.giveBack(from: files) == .returned)
        #expect(status(staged) == [0, 65_534, 0o440, 2])
    }

    @Test func somethingElseIsNotGivenBack() throws {
        #expect(symlink("/etc/passwd", adopted) == 0)
        #expect(try place.giveBack(from: files) == .lost("the module has used it up"))
        unlink(adopted)
        // A third name, with and without the staged one.
        try Files.link(staged, as: adopted)
        chown(staged, 0, 0)
        try Files.link(staged, as: "\(scratch.path)/third")
        #expect(try place.giveBack(from: files) == .lost("it has other names"))
        unlink(staged)
        #expect(try place.giveBack(from: files) == .lost("it has other names"))
        #expect(status(adopted) == [0, 0, 0o600, 2])
        var nameless = place
        nameless.name = "a/b"
        #expect(try nameless.giveBack(from: files) == nil)
    }

    // MARK: what is not what was signed

    @Test func onlyTheFileItselfIsDiscarded() throws {
        let artifact = try adopt()
        try place.discard(from: files)
        #expect(status(staged) == [] && status(adopted) == [0, 0, 0o600, 1])
        try stage("another one")
        try place.discard(from: files)
        #expect(status(staged) == [65_534, 65_534, 0o600, 1])
        withExtendedLifetime(artifact) {}
    }
}
