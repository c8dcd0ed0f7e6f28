import FoundationEssentials
import Host
import UpdateCore
import Verification

/// The working directory of a module, as the protocol's "File API" defines it.
struct FileTree {
    let path: String

    /// Creates a new tree with every file except the artifact.
    func create(for job: InstallJob, _ settings: InstallSettings, installed: InstalledVersion) throws {
        let offer = job.offer
        try Files.removeTree(path)
        for directory in ["", "/header", "/files", "/tmp"] { try Files.createDirectory(path + directory) }
        let name = "\(offer.urlKey)-\(offer.versionCode)"
        let deviceType = settings.devModelKey ?? "unknown"
        let texts = [
            "version": "3",
            "current_artifact_name": installed.versionCode.map { "\(offer.urlKey)-\($0)" } ?? "unknown",
            "current_artifact_group": "",
            "current_device_type": deviceType,
            "header/artifact_name": name,
            "header/artifact_group": "",
            "header/payload_type": settings.module,
            "header/header-info": try json(
                HeaderInfo(
                    payloads: [.init(type: settings.module)],
                    artifact_provides: .init(artifact_name: name),
                    artifact_depends: .init(device_type: [deviceType]))),
            "header/type-info": try json(TypeInfo(type: settings.module)),
            "header/meta-data": settings.metaData,
        ]
        for (name, text) in texts { try write(name, text) }
        for (name, text) in settings.files { try write("files/\(name)", text) }
        try StoredFile.write(
            Note(id: job.id, offer: offer, module: settings.module, rollback: RollbackSettings(settings)),
            to: notePath, limit: maximumMessageBytes)
    }

    // MARK: recovery of an installation

    /// The parts of an installation record that do not change during the installation.
    struct Note: Codable, Sendable {
        var id: InstallID
        var offer: Offer
        var module: String
        var rollback: RollbackSettings?
    }

    private var note: Note? { try? StoredFile.read(Note.self, from: notePath, limit: maximumMessageBytes)?.value }

    private var notePath: String { "\(path)/installation.json" }
    private var commitPath: String { "\(path)/committed" }

    private var preparedCommitPath: String { "\(path)/committing" }

    /// Prepares ``noteCommit()``, which then needs no disk space.
    ///
    /// - Parameter floor: that of the committed version.
    func prepareCommit(_ floor: VersionFloor) throws {
        for name in [preparedCommitPath, preparedCommitPath + ".new"] { try Files.removeUnlessRegular(name) }
        try StoredFile.write(floor, to: preparedCommitPath, limit: maximumMessageBytes)
    }

    /// Notes that the new version is committed: it is not rolled back any more.
    func noteCommit() throws(SystemError) {
        guard !isCommitted else { return }
        do throws(SystemError) {
            try Files.rename(preparedCommitPath, to: commitPath)
        } catch {
            if isCommitted { return }
            try Files.replace(commitPath, with: [])
        }
    }

    var isCommitted: Bool { Files.exists(commitPath) }

    /// The floor that was noted with the commit; nil if the tree is not committed, and in a tree of an earlier release.
    var committedFloor: VersionFloor? {
        try? StoredFile.read(VersionFloor.self, from: commitPath, limit: maximumMessageBytes)?.value
    }

    /// The tree names its installation in a file, as every tree of 0.2.0 and later does until its end.
    var hasNote: Bool { note != nil }

    /// The installation of this tree, if it began and was not committed. A tree of 0.1.0 has no note; its header names the
    /// version and the module, and the id is ``InstallJob/unknownID``.
    func installation() -> (job: InstallJob, module: String)? {
        guard Files.exists(path), !isCommitted else { return nil }
        if let note {
            return (InstallJob(id: note.id, offer: note.offer, sidecar: nil), note.module)
        }
        let name = text("header/artifact_name")
        guard let dash = name.lastIndex(of: "-"), let code = Int(name[name.index(after: dash)...]), code > 0 else {
            return nil
        }
        let offer = Offer(file: "unknown", urlKey: String(name[..<dash]), versionCode: code)
        return (InstallJob(id: InstallJob.unknownID, offer: offer, sidecar: nil), text("header/payload_type"))
    }

    /// The module that the tree was created for; nil if the tree names none.
    var module: String? {
        let name = text("header/payload_type")
        return name.isEmpty ? nil : name
    }

    /// Of the configuration with which the installation began; nil in a tree of 0.1.0.
    var rollbackSettings: RollbackSettings? { note?.rollback }

    private func text(_ name: String) -> String {
        (try? Files.read("\(path)/\(name)", limit: 4096)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    // MARK: the artifact

    var filesPath: String { "\(path)/files" }
    private var stagedPath: String { "\(path)/staged.json" }

    /// Notes where an artifact comes from, before it is taken over; nil if it is not.
    func noteStaged(_ place: StagedArtifact?) throws {
        guard let place else { return try Files.remove(stagedPath) }
        try StoredFile.write(place, to: stagedPath, limit: maximumMessageBytes)
    }

    /// Nil if no artifact was taken over.
    var staged: StagedArtifact? {
        try? StoredFile.read(StagedArtifact.self, from: stagedPath, limit: maximumMessageBytes)?.value
    }

    /// The path of the artifact in the tree.
    func artifactPath(_ settings: InstallSettings) -> String { "\(path)/files/\(settings.fileName)" }

    func remove() throws(SystemError) {
        // Before the mark of a commit: without a note there is nothing to roll back.
        try Files.removeTree(notePath)
        try Files.removeTree("\(path)/header")
        try Files.removeTree(path)
    }

    private func write(_ name: String, _ text: String) throws(SystemError) {
        try Files.replace("\(path)/\(name)", with: Array(text.utf8), mode: 0o644)
    }

    private func json(_ value: some Encodable) throws -> String {
        String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
    }

    // These are the field names of Mender's artifact format.
    private struct HeaderInfo: Encodable {
        var payloads: [TypeInfo]
        var artifact_provides: Provides
        var artifact_depends: Depends
    }
    private struct Provides: Encodable { var artifact_name: String }
    private struct Depends: Encodable { var device_type: [String] }
    private struct TypeInfo: Encodable { var type: String }
}
