import Host
public import UpdateCore

/// What disk space an installation will need, by the module's answer to the query `NeedsSpace`: a line DIRECTORY PERCENT BYTES for each
/// file system, in percent of the artifact's size and in bytes, or `none`. A module declares that it knows the query with an empty file
/// `NAME.space` next to it. Any other one, such as Mender's, is not called: it is assumed to keep one copy in the file tree.
@MainActor public enum SpaceQuery {
    /// Asks the module, with a file tree of its own: an installation can go on meanwhile.
    ///
    /// - Parameters:
    ///   - directory: `state.installerDirectory`.
    ///   - done: called with nil if the module cannot be asked.
    public static func ask(
        _ settings: InstallSettings, directory: String, then done: @escaping @MainActor ([SpaceNeed]?) -> Void
    ) {
        let tree: FileTree
        let module: UpdateModule
        do {
            try Files.createDirectory(directory)
            removeLeftovers(in: directory)
            tree = FileTree(path: try Files.createTemporaryDirectory("\(directory)/space"))
        } catch {
            return done(nil)
        }
        do {
            let job = InstallJob(
                id: InstallJob.unknownID, offer: Offer(file: "space", urlKey: settings.urlKey, versionCode: 1),
                sidecar: nil)
            try tree.create(for: job, settings, installed: .unknown(""))
            module = try UpdateModule(
                settings.module, settings, tree: tree,
                mark: ProcessMark(name: "UPGRADELINK_STEP", value: "NeedsSpace \(tree.path)"), stop: StopRequest()
            ) { _ in }
        } catch {
            try? tree.remove()
            return done(nil)
        }
        guard module.answersSpace else {
            try? tree.remove()
            return done(needs([], settings, directory))
        }
        var lines: [String] = []
        module.ask("NeedsSpace", onLine: { lines.append($0) }) { succeeded in
            try? tree.remove()
            guard succeeded else { return done(nil) }
            done(needs(lines, settings, directory))
        }
    }

    /// Seconds after which a tree is of a query that was killed.
    private static let leftoverAge: Seconds = 3600

    private static func removeLeftovers(in directory: String) {
        for name in (try? Files.list(directory)) ?? [] where name.hasPrefix("space.") {
            let path = "\(directory)/\(name)"
            guard let made = Files.modificationTime(path), Clock.wallTime - made > leftoverAge else { continue }
            try? Files.removeTree(path)
        }
    }

    static func needs(_ lines: [String], _ settings: InstallSettings, _ directory: String) -> [SpaceNeed] {
        var needs = lines.compactMap { SpaceNeed(line: $0) }
        if needs.isEmpty, !lines.contains("none") { needs.append(SpaceNeed(directory: directory, percent: 100)) }
        if !canAdopt(settings, directory) { needs.append(SpaceNeed(directory: directory, percent: 100)) }
        return needs
    }

    /// Whether the installer can take artifacts over instead of copying them.
    private static func canAdopt(_ settings: InstallSettings, _ directory: String) -> Bool {
        guard let staging = settings.stagingDirectory, let one = try? Directory(staging),
            let other = try? Directory(directory), one.handle.hasReliableLeases,
            let devices = try? (one.status.identity.device, other.status.identity.device)
        else { return false }
        return devices.0 == devices.1
    }
}
