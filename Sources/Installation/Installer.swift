import FoundationEssentials
public import Host
import Synchronization
public import UpdateCore
public import Verification

/// Carries an installation out, step by step, so that it can be stopped at any moment and gone on with.
public struct Installer: Sendable {
    /// The installer's own state.
    private let folder: String
    private let bootID: String
    private let surroundings: Surroundings

    /// What the installer asks of the program around it; read afresh each time, since an update may change it.
    public struct Surroundings: Sendable {
        public var settings: @Sendable () throws -> InstallSettings
        public var installedVersion: @Sendable () -> InstalledVersion
        /// Verifies an artifact while copying it to a path.
        public var verify: @Sendable (OpenFile, InstallJob, String) throws -> VerifiedArtifact
        public var report: @Sendable (InstallReport) -> Void

        public init(
            settings: @escaping @Sendable () throws -> InstallSettings,
            installedVersion: @escaping @Sendable () -> InstalledVersion,
            verify: @escaping @Sendable (OpenFile, InstallJob, String) throws -> VerifiedArtifact,
            report: @escaping @Sendable (InstallReport) -> Void
        ) {
            self.settings = settings
            self.installedVersion = installedVersion
            self.verify = verify
            self.report = report
        }
    }

    /// - Throws: where the folder cannot be used, or another installer uses it.
    public init(folder: String, bootID: String, _ surroundings: Surroundings) throws {
        try Files.createFolder(folder)
        self.folder = folder
        self.bootID = bootID
        self.surroundings = surroundings
    }

    private var recordPath: String { "\(folder)/installation.json" }
    private var tree: FileTree { FileTree(path: "\(folder)/tree") }

    /// - Parameter artifact: what an installation is of, handed over open.
    public func handle(_ message: InstallMessage, artifact: OpenFile? = nil) async throws -> InstallResult {
        let found = try load()
        switch message {
        case .resume(let id):
            guard let found, found.job.id == id else { return .unknown }
            return try await goOn(found)
        case .restart(let id):
            guard let found, found.job.id == id else { return .unknown }
            guard found.awaitsRestart, found.bootID == bootID else { return try await goOn(found) }
            return await restart(try surroundings.settings())
        case .install(let job):
            if let found {
                // Asked again for what was begun already: once is enough.
                if found.job == job { return try await goOn(found, artifact) }
                if found.result == nil, case .needsRestart(let isRollback) = try await goOn(found) {
                    return .needsRestart(isRollback: isRollback)
                }
            }
            let settings = try surroundings.settings()
            if let refusal = job.refusal(settings, installed: surroundings.installedVersion()) {
                return .refused(refusal)
            }
            return try await run(InstallRecord(job: job, bootID: bootID), artifact)
        }
    }

    /// Goes on, after a restart of the box or of this program, with what was begun and has no end yet, without anybody's
    /// asking. A restart that leads back to the version before is ordered here: nobody else may be there to do so.
    ///
    /// - Returns: nil where there is nothing to go on with.
    public func resumePending() async throws -> InstallResult? {
        guard let found = try load(), found.result == nil else { return nil }
        let result = try await goOn(found)
        guard case .needsRestart(isRollback: true) = result else { return result }
        return await restart(try surroundings.settings())
    }

    private func goOn(_ found: InstallRecord, _ artifact: OpenFile? = nil) async throws -> InstallResult {
        if let result = found.result { return result }
        // A module that outlived its installer must not go on beside the next one.
        if mark(found).endProcesses() > 0 {
            surroundings.report(.output("what was left of an interrupted \(found.step.name) is ended"))
        }
        if found.step == .prepare, artifact == nil {
            // Nothing has been changed yet, and the artifact is not here: whoever has it orders anew.
            try Files.remove(recordPath)
            return .unknown
        }
        var record = found
        record.resume(bootID: bootID)
        return try await run(record, artifact)
    }

    private func run(_ start: InstallRecord, _ artifact: OpenFile?) async throws -> InstallResult {
        var record = start
        while true {
            try store(record)
            if let result = record.result { return result }
            surroundings.report(.state(record.step.name))
            let outcome = await perform(record, artifact)
            if outcome == .awaitsRestart { return .needsRestart(isRollback: record.step == .restartIntoRollback) }
            record.advance(outcome)
        }
    }

    // MARK: steps

    private func perform(_ record: InstallRecord, _ artifact: OpenFile?) async -> StepOutcome {
        do {
            let settings = try surroundings.settings()
            switch record.step {
            case .prepare:
                _ = try module(settings, record)
                guard let artifact else { return .failed("no file came with the order") }
                return try prepare(record.job, artifact, settings)
            case .module(let state):
                if state == .cleanup { return await cleanUp(settings, record) }
                return await (try module(settings, record)).run(state)
            case .askNeedsReboot, .askNeedsRebootForRollback:
                let answer = try await module(settings, record).ask("NeedsArtifactReboot")
                guard !answer.isEmpty else { return .needsReboot(.no) }
                guard let need = RebootNeed(rawValue: answer) else {
                    return .failed(
                        "\(settings.module) answers NeedsArtifactReboot with \"\(answer.forPeople(limit: 40))\"")
                }
                return .needsReboot(need)
            case .askSupportsRollback:
                return .supportsRollback(try await module(settings, record).ask("SupportsRollback") == "Yes")
            case .checkVersion:
                return checkVersion(record.job.offer)
            case .checkHealth:
                return await settings.health.run { surroundings.report(.output($0.forPeople(limit: 1000))) }
            case .restart, .restartIntoRollback:
                return .awaitsRestart
            case .done:
                return .succeeded
            }
        } catch let failure as UpdateModule.QueryFailure {
            return .failed(failure.reason)
        } catch {
            return .failed("\(error)")
        }
    }

    /// Of what a step starts; the folder tells one installer's from another's.
    private func mark(_ record: InstallRecord) -> ProcessMark {
        ProcessMark(name: "UPGRADELINK_STEP", value: "\(record.job.id) \(record.step.name) \(folder)")
    }

    private func module(
        _ settings: InstallSettings, _ record: InstallRecord
    ) throws(UpdateModule.Failure) -> UpdateModule {
        try UpdateModule(settings, tree: tree, mark: mark(record)) {
            surroundings.report(.output($0.forPeople(limit: 1000)))
        }
    }

    private func prepare(_ job: InstallJob, _ artifact: OpenFile, _ settings: InstallSettings) throws -> StepOutcome {
        do {
            try tree.create(for: job.offer, settings, installed: surroundings.installedVersion())
            _ = try surroundings.verify(artifact, job, tree.artifactPath(settings))
            return .succeeded
        } catch let error as SystemError {
            // A disk that is full, or fails, is no fault of the version.
            try? tree.remove()
            return .noSpace("\(error)")
        }
    }

    private func cleanUp(_ settings: InstallSettings, _ record: InstallRecord) async -> StepOutcome {
        // Interrupted once its work was done.
        guard Files.exists(tree.path) else { return .succeeded }
        do {
            let outcome = await (try module(settings, record)).run(.cleanup)
            try tree.remove()
            return outcome
        } catch {
            return .failed("\(error)")
        }
    }

    private func checkVersion(_ offer: Offer) -> StepOutcome {
        switch surroundings.installedVersion() {
        case .known(offer.versionCode, _): .succeeded
        case .known(let code, _): .failed("it was installed, but the box still reports versionCode \(code)")
        case .unknown(let reason): .failed("it was installed, but the box's version cannot be told: \(reason)")
        }
    }

    private func restart(_ settings: InstallSettings) async -> InstallResult {
        guard let command = settings.rebootCommand.first else {
            return .restartRefused("install.rebootCommand is empty")
        }
        let program = Program(
            command, Array(settings.rebootCommand.dropFirst()), workingDirectory: "/", timeLimit: .seconds(60))
        let log: @Sendable (String) -> Void = { surroundings.report(.output($0.forPeople(limit: 1000))) }
        // What the command complains of first is why: systemctl names the inhibitor.
        let reason = Mutex("")
        let end = await program.run(onOutput: log) { line in
            reason.withLock { if $0.isEmpty { $0 = line.forPeople(limit: 300) } }
            log(line)
        }
        let said = reason.withLock { $0 }
        return end.succeeded ? .restarting : .restartRefused(said.isEmpty ? "install.rebootCommand: \(end)" : said)
    }

    // MARK: the record

    private func load() throws -> InstallRecord? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(recordPath, limit: maximumMessageBytes)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
        do {
            return try JSONDecoder().decode(InstallRecord.self, from: Data(bytes))
        } catch {
            // Set aside for whoever wants to know; without it nothing can be gone on with.
            try Files.rename(recordPath, to: recordPath + ".damaged")
            surroundings.report(.output("\(recordPath) was damaged and is set aside as \(recordPath).damaged"))
            return nil
        }
    }

    private func store(_ record: InstallRecord) throws {
        try Files.replace(recordPath, with: Array(try JSONEncoder().encode(record)))
    }
}

extension InstallJob {
    /// What the installer itself insists on, whatever the agent says; the signature is checked besides.
    func refusal(_ settings: InstallSettings, installed: InstalledVersion) -> String? {
        guard offer.urlKey == settings.urlKey else { return "it is for another application than device.urlKey" }
        guard (sidecar?.utf8.count ?? 0) <= maximumSidecarBytes else { return "its signature file is too long" }
        // Where no version can be told there is none to be newer than; the agent has no hand in that.
        guard case .known(let running, _) = installed else { return nil }
        guard offer.versionCode > running || offer.versionCode == settings.appointVersionCode else {
            return "versionCode \(offer.versionCode) is not above the installed \(running); "
                + "a downgrade needs device.appointVersionCode"
        }
        return nil
    }
}
