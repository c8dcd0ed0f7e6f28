import FoundationEssentials
import Host
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
        public var verify: @Sendable (Artifact, Offer, String) throws -> VerifiedArtifact
        public var report: @Sendable (InstallReport) -> Void

        public init(
            settings: @escaping @Sendable () throws -> InstallSettings,
            installedVersion: @escaping @Sendable () -> InstalledVersion,
            verify: @escaping @Sendable (Artifact, Offer, String) throws -> VerifiedArtifact,
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

    public func handle(_ request: InstallRequest) async throws -> InstallResult {
        let found = try load()
        switch request {
        case .resume(let id):
            guard let found, found.order.id == id else { return .unknown }
            return try await goOn(found)
        case .restart(let id):
            guard let found, found.order.id == id else { return .unknown }
            guard found.awaitsRestart, found.bootID == bootID else { return try await goOn(found) }
            return await restart(try surroundings.settings())
        case .install(let order):
            if let found {
                // Asked again for what was begun already: once is enough.
                if found.order == order { return try await goOn(found) }
                if found.result == nil, case .needsRestart(let isRollback) = try await goOn(found) {
                    return .needsRestart(isRollback: isRollback)
                }
            }
            guard order.artifactIsNamedPlainly else { return .refused("its artifact has no absolute path") }
            return try await run(InstallRecord(order: order, bootID: bootID))
        }
    }

    private func goOn(_ found: InstallRecord) async throws -> InstallResult {
        if let result = found.result { return result }
        var record = found
        record.resume(bootID: bootID)
        return try await run(record)
    }

    private func run(_ start: InstallRecord) async throws -> InstallResult {
        var record = start
        while true {
            try store(record)
            if let result = record.result { return result }
            surroundings.report(.state(record.step.name))
            let outcome = await perform(record)
            if outcome == .awaitsRestart { return .needsRestart(isRollback: record.step == .restartIntoRollback) }
            record.advance(outcome)
        }
    }

    // MARK: steps

    private func perform(_ record: InstallRecord) async -> StepOutcome {
        do {
            let settings = try surroundings.settings()
            switch record.step {
            case .prepare:
                _ = try module(settings)
                try prepare(record.order, settings)
                return .succeeded
            case .module(let state):
                if state == .cleanup { return await cleanUp(settings) }
                return await (try module(settings)).run(state)
            case .askNeedsReboot, .askNeedsRebootForRollback:
                let answer = try await module(settings).ask("NeedsArtifactReboot")
                guard !answer.isEmpty else { return .needsReboot(.no) }
                guard let need = RebootNeed(rawValue: answer) else {
                    return .failed(
                        "\(settings.module) answers NeedsArtifactReboot with \"\(answer.forPeople(limit: 40))\"")
                }
                return .needsReboot(need)
            case .askSupportsRollback:
                return .supportsRollback(try await module(settings).ask("SupportsRollback") == "Yes")
            case .checkVersion:
                return checkVersion(record.order.offer)
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

    private func module(_ settings: InstallSettings) throws(UpdateModule.Failure) -> UpdateModule {
        try UpdateModule(settings, tree: tree) { surroundings.report(.output($0.forPeople(limit: 1000))) }
    }

    private func prepare(_ order: InstallOrder, _ settings: InstallSettings) throws {
        try tree.create(for: order.offer, settings, installed: surroundings.installedVersion())
        _ = try surroundings.verify(order.artifact, order.offer, tree.artifactPath(settings))
    }

    private func cleanUp(_ settings: InstallSettings) async -> StepOutcome {
        // Interrupted once its work was done.
        guard Files.exists(tree.path) else { return .succeeded }
        do {
            let outcome = await (try module(settings)).run(.cleanup)
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

extension InstallOrder {
    fileprivate var artifactIsNamedPlainly: Bool {
        artifact.path.hasPrefix("/") && artifact.sidecarPath.map { $0.hasPrefix("/") } ?? true
    }
}
