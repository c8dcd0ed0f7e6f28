import FoundationEssentials
import Host
import UpdateCore

/// Where the agent staged an artifact, and where the file tree has it: stored before the artifact is taken over, so that it can be
/// given back after an interruption at any moment.
struct StagedArtifact: Codable, Hashable, Sendable {
    /// `download.directory`.
    var directory: String
    var name: String
    /// The name in the tree's `files`.
    var adoptedName: String
}

/// The staged artifact, which the installer has taken over from the agent's user without a copy. docs/security.md says why no process
/// can change it from then on, although the agent's user owned it and may be hostile.
final class AdoptedArtifact {
    /// Open for reading, with the lease that shows whether anybody has tried to open it for writing.
    let file: OpenFile
    private let staging: Directory
    private let stagedName: FileName

    /// Why the artifact is copied instead.
    struct Refusal: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The moments between which a hostile owner could act; tests do.
    enum Moment: CaseIterable, Sendable { case linked, checked, owned, leased }

    /// Takes over the artifact.
    ///
    /// - Parameters:
    ///   - passed: the file that came with the request. It, and no other, is taken over.
    ///   - files: the directory that gets the artifact; only this process's user can enter it.
    ///   - passes: called after each step.
    /// - Throws: ``Refusal``, or `SystemError`. Nothing is then left in `files`.
    init(
        _ passed: OpenFile, _ place: StagedArtifact, into files: Directory, passes: (Moment) -> Void = { _ in }
    ) throws {
        guard let stagedName = FileName(place.name), let name = FileName(place.adoptedName) else {
            throw Refusal("\(place.adoptedName) is no name of a file")
        }
        guard passed.hasReliableLeases else {
            throw Refusal("its file system is not known to keep the rules that adoption needs")
        }
        let staging = try Directory(place.directory)
        do throws(SystemError) {
            // By name: a link from the descriptor would cross the mount namespaces of the agent and of this process.
            try staging.onOneMount(with: files) { staging, files throws(SystemError) in
                try staging.link(stagedName, as: name, in: files)
            }
        } catch {
            guard error.isOtherFileSystem else { throw error }
            throw Refusal("\(place.directory) and \(files.path) are not on one file system")
        }
        do {
            passes(.linked)
            // Another name's file, or a symbolic link, may have been put in its place.
            let file = try files.file(name)
            let status = try file.status
            guard try status.identity == passed.status.identity else {
                throw Refusal("\(place.directory)/\(place.name) is not the file that came with the request")
            }
            // One that was given back belongs to this process's user.
            guard try status.isOwn || status.user == staging.status.user else {
                throw Refusal("it belongs to user \(status.user)")
            }
            guard status.linkCount == 2 else { throw Refusal("it has other names") }
            guard try !file.hasInodeFlags else { throw Refusal("it has attributes (lsattr)") }
            passes(.checked)
            try file.takeOwnership()
            // Its former owner may have given rights to it to others, or to itself.
            try file.removeAttributes()
            passes(.owned)
            do {
                try Self.lease(file)
            } catch {
                // The file stays with this process's user, who lets the agent read it.
                try? file.share(withGroup: staging.status.group)
                throw error
            }
            passes(.leased)
            (self.file, self.staging, self.stagedName) = (file, staging, stagedName)
        } catch {
            try files.remove(name)
            throw error
        }
    }

    /// Continues to hold an artifact that another installer had taken over. Its content is not verified.
    ///
    /// - Throws: ``Refusal`` if it may have been changed, or `SystemError`.
    init(again place: StagedArtifact, in files: Directory) throws {
        guard let stagedName = FileName(place.name), let name = FileName(place.adoptedName) else {
            throw Refusal("\(place.adoptedName) is no name of a file")
        }
        (staging, self.stagedName) = (try Directory(place.directory), stagedName)
        file = try files.file(name)
        let status = try file.status
        guard status.isOwn, status.linkCount == 1 else { throw Refusal("the artifact has other names, or owners") }
        try Self.lease(file)
    }

    private static func lease(_ file: OpenFile) throws {
        do throws(SystemError) {
            try file.takeReadLease()
        } catch {
            throw error.isHeld ? Refusal("another process has it open for writing") : error
        }
    }

    /// No process has tried to open the file for writing since it was taken over.
    var isUndisturbed: Bool { file.hasReadLease }

    /// Removes the name in the staging directory: the former owner must not keep a name of what may become a program of root.
    ///
    /// - Throws: ``Refusal`` if the file has a name that is not known, or was opened for writing.
    func separate() throws {
        let identity = try file.status.identity
        if try staging.status(of: stagedName)?.identity == identity {
            try staging.remove(stagedName)
            try staging.synchronize()
        }
        guard try file.status.linkCount == 1 else { throw Refusal("it has other names") }
        guard isUndisturbed else { throw Refusal("it was opened for writing") }
    }
}

extension StagedArtifact {
    enum Return: Hashable {
        /// The agent can read it in the staging directory.
        case returned
        /// Why the agent has to download it again.
        case lost(String)
    }

    /// Gives an adopted artifact back: the staging directory has it again, the agent's group can read it, and no user but root can write to it.
    /// This can be repeated after an interruption. The tree's name stays.
    ///
    /// - Returns: nil if nothing was adopted.
    func giveBack(from files: Directory) throws -> Return? {
        guard let stagedName = FileName(name), let adopted = FileName(adoptedName) else { return nil }
        let staging = try Directory(directory)
        guard let status = try files.status(of: adopted), status.kind == .regular else {
            return .lost("the module has used it up")
        }
        let file = try files.file(adopted)
        let found = try staging.status(of: stagedName)
        let isStaged = found?.identity == status.identity
        guard found == nil || isStaged else { return .lost("\(directory)/\(name) is another file") }
        guard status.linkCount == (isStaged ? 2 : 1) else { return .lost("it has other names") }
        // Interrupted before it was taken over: it is still the agent's.
        if isStaged, !status.isOwn { return .returned }
        try file.share(withGroup: staging.status.group)
        if !isStaged {
            try files.onOneMount(with: staging) { files, staging throws(SystemError) in
                try files.link(adopted, as: stagedName, in: staging)
            }
        }
        try staging.synchronize()
        return .returned
    }

    /// Removes the artifact from the staging directory, if that still has it, because it must not be installed.
    func discard(from files: Directory) throws {
        guard let stagedName = FileName(name), let adopted = FileName(adoptedName) else { return }
        let staging = try Directory(directory)
        guard let status = try files.status(of: adopted), status.isOwn,
            try staging.status(of: stagedName)?.identity == status.identity
        else { return }
        try staging.remove(stagedName)
        try staging.synchronize()
    }
}
