import Glibc
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Host
@testable import Installation

/// The installer takes a staged artifact over from a hostile owner: another process, of another user.
@Suite(.enabled(if: getuid() == 0, "another user's process needs root"))
struct AdoptionTests {
    /// A user without rights.
    private static let agent: uid_t = 65534
    private static let content = "what was signed, and nothing else"

    /// When the owner acts.
    enum Moment: String, CaseIterable, Sendable {
        case before, linked, checked, owned, leased, verified, separated

        init(_ moment: AdoptedArtifact.Moment) {
            switch moment {
            case .linked: self = .linked
            case .checked: self = .checked
            case .owned: self = .owned
            case .leased: self = .leased
            }
        }
    }

    /// A staging directory of the agent's user, and a process of that user.
    private struct Scene {
        let scratch: Scratch
        let staging: String
        let files: Directory
        let place: StagedArtifact
        private let socket: LocalSocket

        init(_ directory: String, _ scratch: Scratch) throws {
            self.scratch = scratch
            staging = "\(directory)/staging"
            try Files.createDirectory(staging)
            try Files.createDirectory("\(directory)/files")
            chmod(directory, 0o755)
            chmod(scratch.path, 0o755)
            try Files.replace("\(staging)/2.artifact", with: Array(content.utf8))
            for path in [staging, "\(staging)/2.artifact"] { chown(path, agent, agent) }
            files = try Directory("\(directory)/files")
            place = StagedArtifact(directory: staging, name: "2.artifact", adoptedName: "artifact")
            let (own, other) = try LocalSocket.pair()
            socket = own
            try Program(
                "python3", ["\(repositoryDirectory)/Tests/Attacks/adoption.py", "\(agent)", staging, "2.artifact"],
                streams: .connection(other), timeLimit: nil
            ).startAlone()
            _ = try socket.receiveLine(limit: 200, within: 30)
        }

        /// What came of the owner's call: `done`, or an error.
        @discardableResult
        func act(_ command: String) throws -> String {
            try socket.send(Array("\(command)\n".utf8))
            let reply = try #require(try socket.receiveLine(limit: 200, within: 60))
            return String(decoding: reply.line, as: UTF8.self)
        }

        func adopt(passes: (AdoptedArtifact.Moment) -> Void = { _ in }) throws -> AdoptedArtifact {
            try AdoptedArtifact(Files.open("\(staging)/2.artifact"), place, into: files, passes: passes)
        }

        var adopted: String {
            get throws { String(decoding: try Files.read("\(files.path)/artifact", limit: 1000), as: UTF8.self) }
        }
    }

    private func withScene<Value>(
        on type: String = "ext4", _ body: (Scene) async throws -> Value
    ) async throws -> Value {
        let scratch = try Scratch()
        return try await scratch.withFileSystem(type, "disk") { try await body(Scene($0, scratch)) }
    }

    static let attacks = [
        "open to write", "map", "open again", "change the mode", "change the owner", "truncate",
        "truncate what is open", "link", "link what is open", "rename", "swap", "copy over", "replace with a link",
        "remove", "allow by list", "allow by list what is open", "set an attribute",
    ]

    /// What the owner could do with what an attack gave it.
    private static let uses = [
        "write", "write to the map", "open again", "truncate", "truncate what is open", "open to write", "write",
        "change the mode", "change the owner", "allow by list what is open", "open again",
    ]

    /// Whatever the owner does, and whenever: either the artifact is not taken over, or its content and its rights are final.
    @Test(arguments: Moment.allCases) func whatIsTakenOverCannotBeChanged(moment: Moment) async throws {
        var taken = 0
        let scratch = try Scratch()
        try await scratch.withFileSystem("ext4", "disk") { disk in
            for (number, attack) in Self.attacks.enumerated() {
                let scene = try Scene("\(disk)/\(number)", scratch)
                try scene.act("open to read")
                var reply = ""
                var isAdopted = false
                func act(at now: Moment) throws { if now == moment { reply = try scene.act(attack) } }
                do {
                    // The agent passes the file that it has open, whatever it does with the names.
                    let passed = try Files.open("\(scene.staging)/2.artifact")
                    try act(at: .before)
                    var failure: (any Error)?
                    let artifact = try AdoptedArtifact(passed, scene.place, into: scene.files) { now in
                        do { try act(at: Moment(now)) } catch { failure = error }
                    }
                    isAdopted = true
                    if let failure { throw failure }
                    let verified = String(decoding: try Files.read(artifact.file, limit: 1000), as: UTF8.self)
                    try act(at: .verified)
                    try artifact.separate()
                    try act(at: .separated)
                    // It may have been changed as long as it was the owner's: then it is not what was signed.
                    if moment == .owned || moment == .leased || moment == .verified || moment == .separated {
                        #expect(verified == Self.content, "\(attack): \(reply)")
                    }
                    for use in Self.uses { try scene.act(use) }
                    #expect(try scene.adopted == verified, "\(attack): \(reply)")
                    let status = try artifact.file.status
                    #expect(status.user == 0 && status.mode == 0o600 && status.linkCount == 1, "\(attack): \(reply)")
                    let attributes = try await attributes("\(scene.files.path)/artifact")
                    #expect(attributes == "[]\n", "\(attack): \(reply)")
                    #expect(artifact.isUndisturbed, "\(attack): \(reply)")
                    taken += 1
                } catch let error where error is AdoptedArtifact.Refusal || error is SystemError {
                    // The names in the directory are the owner's.
                    #expect(moment != .separated, "\(attack): \(reply): \(error)")
                    // The copy replaces it.
                    #expect(try scene.files.names().isEmpty != isAdopted, "\(attack): \(error)")
                }
            }
        }
        #expect(taken > 0)
    }

    /// The names of a file's extended attributes.
    private func attributes(_ path: String) async throws -> String {
        try await execute("python3", ["-c", "import os, sys; print(os.listxattr(sys.argv[1]))", path])
    }

    /// Who has it open for writing, or mapped, can still write to it: it is copied instead.
    @Test(arguments: ["open to write", "map"]) func aFileThatIsOpenForWritingIsNotTakenOver(how: String) async throws {
        try await withScene { scene in
            #expect(try scene.act(how) == "done")
            #expect(throws: AdoptedArtifact.Refusal.self) { try scene.adopt() }
            #expect(try scene.files.names().isEmpty)
            // The agent can still read it.
            #expect(try scene.act("open to read") == "done")
            // The other process has ended: it is taken over, although it is root's already.
            #expect(try scene.act(how == "map" ? "unmap" : "close") == "done")
            try scene.adopt().separate()
            #expect(try scene.adopted == Self.content)
        }
    }

    /// A call that was allowed before, and comes late, is noticed.
    @Test func aFileThatIsOpenedForWritingIsNoticed() async throws {
        try await withScene { scene in
            let artifact = try scene.adopt()
            #expect(artifact.isUndisturbed)
            let other = open("\(scene.files.path)/artifact", O_WRONLY | O_NONBLOCK)
            #expect(other < 0 && errno == EWOULDBLOCK)
            #expect(!artifact.isUndisturbed)
            #expect(throws: AdoptedArtifact.Refusal.self) { try artifact.separate() }
        }
    }

    @Test func onlyTheFileOfTheRequestIsTakenOver() async throws {
        try await withScene { scene in
            // Another file of the owner, one with two names, one of another user, and one of a file system without the rules.
            try scene.act("link")
            #expect(throws: AdoptedArtifact.Refusal.self) { try scene.adopt() }
            unlink("\(scene.staging)/second")
            let passed = try Files.open("\(scene.staging)/2.artifact")
            try scene.act("swap")
            #expect(throws: AdoptedArtifact.Refusal.self) {
                try AdoptedArtifact(passed, scene.place, into: scene.files)
            }
            chown("\(scene.staging)/2.artifact", 4242, 4242)
            #expect(throws: AdoptedArtifact.Refusal.self) { try scene.adopt() }
            #expect(FileStatus("\(scene.staging)/2.artifact")?.user == 4242)
            try scene.act("replace with a link")
            #expect(throws: (any Error).self) { try scene.adopt() }
            #expect(try scene.files.names().isEmpty)
            try await scene.scratch.withSmallFileSystem("other", size: "1m") { directory in
                let other = try Scene(directory, scene.scratch)
                #expect(throws: AdoptedArtifact.Refusal.self) { try other.adopt() }
                // Another file system than the installer's.
                let passed = try Files.open("\(scene.staging)/hidden")
                let place = StagedArtifact(directory: scene.staging, name: "hidden", adoptedName: "artifact")
                #expect(throws: AdoptedArtifact.Refusal.self) {
                    try AdoptedArtifact(passed, place, into: other.files)
                }
            }
        }
    }

    /// The file systems that `hasReliableLeases` names, and that this kernel has.
    @Test(arguments: ["ext4", "xfs", "btrfs"]) func theRulesHoldOnEachFileSystem(type: String) async throws {
        let known = try String(decoding: Files.read("/proc/filesystems", limit: 65_536), as: UTF8.self)
        try #require(known.contains("\t\(type)\n"), "the kernel has no \(type)")
        try await withScene(on: type) { scene in
            try scene.act("open to read")
            #expect(try scene.act("open to write") == "done")
            #expect(throws: AdoptedArtifact.Refusal.self) { try scene.adopt() }
            try scene.act("close")
            #expect(try scene.act("open again") == "EACCES")
            let artifact = try scene.adopt()
            try artifact.separate()
            for attack in Self.attacks { try scene.act(attack) }
            #expect(try scene.adopted == Self.content && artifact.isUndisturbed)
        }
    }

    /// As with state and cache directories that are bind-mounted from one partition.
    @Test func bindMountsOfOneFileSystemAreNoObstacle() async throws {
        try await withScene { scene in
            let inode = FileStatus("\(scene.staging)/2.artifact")?.identity.inode
            for path in [scene.staging, scene.files.path] {
                try await execute("mount", ["--bind", path, path])
            }
            defer { for path in [scene.staging, scene.files.path] { umount2(path, CInt(MNT_DETACH)) } }
            let files = try Directory(scene.files.path)
            let passed = try Files.open("\(scene.staging)/2.artifact")
            // Only the paths on the file system itself can be linked to each other, and these are hidden here.
            #expect(throws: AdoptedArtifact.Refusal.self) { try AdoptedArtifact(passed, scene.place, into: files) }
            let second = "\(scene.scratch.path)/second"
            try Files.createDirectory(second)
            try await execute("mount", ["--bind", "\(scene.scratch.path)/disk", second])
            defer { umount2(second, CInt(MNT_DETACH)) }
            try AdoptedArtifact(passed, scene.place, into: files).separate()
            #expect(try files.file(.artifact).status.identity.inode == inode)
            #expect(try scene.place.giveBack(from: files) == .returned)
            #expect(FileStatus("\(scene.staging)/2.artifact")?.identity.inode == inode)
        }
    }

    // MARK: its return

    @Test func theAgentCanReadWhatIsGivenBack() async throws {
        try await withScene { scene in
            let before = FileStatus("\(scene.staging)/2.artifact")?.identity
            try scene.adopt().separate()
            #expect(try scene.act("open to read") == "ENOENT")
            for _ in 1...2 {
                #expect(try scene.place.giveBack(from: scene.files) == .returned)
                #expect(FileStatus("\(scene.staging)/2.artifact")?.identity == before)
                #expect(try scene.act("open to read") == "done")
                for attack in ["open to write", "open again", "truncate", "change the mode"] {
                    #expect(try ["EACCES", "EPERM"].contains(scene.act(attack)), "\(attack)")
                }
            }
            // As the end of an installation removes the tree.
            unlink("\(scene.files.path)/artifact")
            try scene.adopt().separate()
            #expect(try scene.adopted == Self.content)
        }
    }

    /// Interrupted after each step, it is given back.
    @Test(arguments: AdoptedArtifact.Moment.allCases)
    func anInterruptionLosesNothing(moment: AdoptedArtifact.Moment) async throws {
        struct Interruption: Error {}
        try await withScene { scene in
            // What a process that is killed leaves behind.
            #expect(leave(at: moment, scene.place, scene.files))
            #expect(try scene.files.names().count == 1)
            #expect(try scene.place.giveBack(from: scene.files) == .returned)
            #expect(try scene.act("open to read") == "done")
            unlink("\(scene.files.path)/artifact")
            try scene.adopt().separate()
        }
    }

    /// Leaves what an installer leaves that is killed at this moment.
    private func leave(at moment: AdoptedArtifact.Moment, _ place: StagedArtifact, _ files: Directory) -> Bool {
        guard let passed = try? Files.open("\(place.directory)/\(place.name)") else { return false }
        var second = false
        _ = try? AdoptedArtifact(passed, place, into: files) { now in
            guard now == moment else { return }
            // Another name outlives the link that an error removes.
            second = link("\(files.path)/artifact", "\(files.path)/kept") == 0
        }
        guard second else { return false }
        unlink("\(files.path)/artifact")
        return rename("\(files.path)/kept", "\(files.path)/artifact") == 0
    }

    @Test func whatCannotBeGivenBackIsReported() async throws {
        try await withScene { scene in
            try scene.adopt().separate()
            try Files.replace("\(scene.staging)/2.artifact", with: [1])
            #expect(
                try scene.place.giveBack(from: scene.files) == .lost("\(scene.staging)/2.artifact is another file"))
            unlink("\(scene.staging)/2.artifact")
            link("\(scene.files.path)/artifact", "\(scene.files.path)/second")
            #expect(try scene.place.giveBack(from: scene.files) == .lost("it has other names"))
            for name in ["second", "artifact"] { unlink("\(scene.files.path)/\(name)") }
            #expect(try scene.place.giveBack(from: scene.files) == .lost("the module has used it up"))
        }
    }
}
