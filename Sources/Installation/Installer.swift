public import Host
public import UpdateCore
public import Verification

/// Carries an installation out, step by step, so that it can be stopped at any moment and gone on with.
@MainActor public struct Installer {
    /// The installer's own state.
    private let folder: String
    private let bootID: String
    private let surroundings: Surroundings

    /// What the installer asks of the program around it; read afresh each time, since an update may change it.
    public struct Surroundings {
        public var settings: @MainActor () throws -> InstallSettings
        public var installedVersion: @MainActor () -> InstalledVersion
        /// Verifies an artifact while copying it to a path.
        public var verify: @MainActor (OpenFile, InstallJob, String) throws -> VerifiedArtifact
        public var report: @MainActor (InstallReport) -> Void

        public init(
            settings: @escaping @MainActor () throws -> InstallSettings,
            installedVersion: @escaping @MainActor () -> InstalledVersion,
            verify: @escaping @MainActor (OpenFile, InstallJob, String) throws -> VerifiedArtifact,
            report: @escaping @MainActor (InstallReport) -> Void
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

    /// How a request ended; a failure is an error of this installer, which has no result.
    public typealias Completion = @MainActor (Result<InstallResult, any Error>) -> Void

    /// - Parameters:
    ///   - artifact: what an installation is of, passed open.
    ///   - done: called once, perhaps before this returns.
    public func handle(_ message: InstallMessage, artifact: OpenFile? = nil, then done: @escaping Completion) {
        attempt(done) {
            let found = try load()
            switch message {
            case .resume(let id):
                guard let found, found.job.hasID(id) else { return done(.success(.unknown)) }
                resume(found, nil, done)
            case .forgetAttempts(let versionCode):
                try forgetAttempts(at: versionCode, found)
                done(.success(.unknown))
            case .restart(let id):
                guard let found, found.job.hasID(id) else { return done(.success(.unknown)) }
                guard found.awaitsRestart, found.bootID == bootID else { return resume(found, nil, done) }
                reboot(try surroundings.settings()) { done(.success($0)) }
            case .install(let job):
                guard let found else { return try begin(job, artifact, nil, done) }
                // Requested again for what was begun already: once is enough.
                if found.job == job { return resume(found, artifact, done) }
                guard found.result == nil else { return try begin(job, artifact, found, done) }
                resume(found, nil) { outcome in
                    attempt(done) {
                        if case .needsRestart = try outcome.get() { return done(outcome) }
                        try begin(job, artifact, try load(), done)
                    }
                }
            }
        }
    }

    /// Continues, after a reboot or a restart of this program, what was begun and has no end yet, without a request. A reboot
    /// that leads back to the version before is ordered here: the agent may not be there to do so.
    ///
    /// - Parameter done: called with nil if there is nothing to continue.
    public func resumePending(then done: @escaping @MainActor (Result<InstallResult?, any Error>) -> Void) {
        let end: Completion = { done($0.map(Optional.some)) }
        attempt(end) {
            guard let found = try load(), found.result == nil else { return done(.success(nil)) }
            resume(found, nil) { outcome in
                attempt(end) {
                    guard case .needsRestart(isRollback: true) = try outcome.get() else { return end(outcome) }
                    reboot(try surroundings.settings()) { end(.success($0)) }
                }
            }
        }
    }

    /// What it throws is how the request ended.
    private func attempt(_ done: Completion, _ body: () throws -> Void) {
        do { try body() } catch { done(.failure(error)) }
    }

    /// - Parameter last: the record of the installation before.
    private func begin(
        _ job: InstallJob, _ artifact: OpenFile?, _ last: InstallRecord?, _ done: @escaping Completion
    ) throws {
        let settings = try surroundings.settings()
        if let refusal = job.refusal(settings, installed: surroundings.installedVersion()) {
            return done(.success(.refused(refusal)))
        }
        var record = InstallRecord(job: job, bootID: bootID, module: settings.module)
        record.attempts = attempts(last)
        if let refusal = record.attempts.refusal(of: job.offer.versionCode, limit: settings.attempts) {
            return done(.success(.failed(refusal)))
        }
        run(record, artifact, done)
    }

    private func resume(_ found: InstallRecord, _ artifact: OpenFile?, _ done: @escaping Completion) {
        attempt(done) {
            if let result = found.result { return done(.success(result)) }
            // A module that outlived its installer must not run next to the next one.
            if mark(found).endProcesses() > 0 {
                surroundings.report(.output("what was left of an interrupted \(found.step.name) is ended"))
            }
            if found.step == .prepare, artifact == nil {
                // Nothing has been changed yet, and the artifact is not here: the agent, which has it, orders anew.
                try Files.remove(recordPath)
                return done(.success(.unknown))
            }
            var record = found
            record.resume(bootID: bootID)
            run(record, artifact, done)
        }
    }

    /// Stores the record, and takes the step that it names.
    private func run(_ record: InstallRecord, _ artifact: OpenFile?, _ done: @escaping Completion) {
        attempt(done) {
            var record = record
            switch record.step {
            case .module(.download): record.attempts.countAttempt(at: record.job.offer.versionCode)
            case .module(.cleanup) where record.failure == nil:
                // Committed.
                record.attempts.forget { $0 <= record.job.offer.versionCode }
                if Files.exists(tree.path) { try tree.noteCommit() }
            default: break
            }
            try store(record)
            if let result = record.result { return done(.success(result)) }
            surroundings.report(.state(record.step.name))
            perform(record, artifact) { outcome in
                if outcome == .awaitsRestart {
                    return done(.success(.needsRestart(isRollback: record.step == .restartIntoRollback)))
                }
                var next = record
                next.advance(outcome)
                run(next, artifact, done)
            }
        }
    }

    // MARK: steps

    private func perform(
        _ record: InstallRecord, _ artifact: OpenFile?, then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        do {
            let settings = try surroundings.settings()
            switch record.step {
            case .prepare:
                _ = try module(settings, record)
                guard let artifact else { return done(.failed("no file came with the request")) }
                done(try prepare(record.job, artifact, settings))
            case .module(.cleanup):
                cleanUp(settings, record, done)
            case .module(let state):
                try module(settings, record).run(state, then: done)
            case .askNeedsReboot, .askNeedsRebootForRollback:
                try module(settings, record).ask("NeedsArtifactReboot") { answer in
                    done(Self.rebootNeed(answer, settings))
                }
            case .askSupportsRollback:
                try module(settings, record).ask("SupportsRollback") { answer in
                    switch answer {
                    case .success(let text): done(.supportsRollback(text == "Yes"))
                    case .failure(let failure): done(.failed(failure.reason))
                    }
                }
            case .checkVersion:
                done(checkVersion(record.job.offer))
            case .checkHealth:
                settings.health.run(log: { surroundings.report(.output($0.forPeople(limit: 1000))) }, then: done)
            case .restart, .restartIntoRollback:
                done(.awaitsRestart)
            case .done:
                done(.succeeded)
            }
        } catch {
            done(.failed("\(error)"))
        }
    }

    private static func rebootNeed(
        _ answer: Result<String, UpdateModule.QueryFailure>, _ settings: InstallSettings
    ) -> StepOutcome {
        switch answer {
        case .failure(let failure): return .failed(failure.reason)
        case .success(""): return .needsReboot(.no)
        case .success(let text):
            guard let need = RebootNeed(rawValue: text) else {
                return .failed("\(settings.module) answers NeedsArtifactReboot with \"\(text.forPeople(limit: 40))\"")
            }
            return .needsReboot(need)
        }
    }

    /// Of what a step starts; the folder tells one installer's from another's.
    private func mark(_ record: InstallRecord) -> ProcessMark {
        ProcessMark(name: "UPGRADELINK_STEP", value: "\(record.job.id) \(record.step.name) \(folder)")
    }

    /// 0.1.0 stored the module in the tree only.
    private func module(
        _ settings: InstallSettings, _ record: InstallRecord
    ) throws(UpdateModule.Failure) -> UpdateModule {
        let name = record.module ?? (record.step == .prepare ? nil : tree.module) ?? settings.module
        return try UpdateModule(name, settings, tree: tree, mark: mark(record)) {
            surroundings.report(.output($0.forPeople(limit: 1000)))
        }
    }

    private func prepare(_ job: InstallJob, _ artifact: OpenFile, _ settings: InstallSettings) throws -> StepOutcome {
        do {
            try tree.create(for: job, settings, installed: surroundings.installedVersion())
            _ = try surroundings.verify(artifact, job, tree.artifactPath(settings))
            return .succeeded
        } catch let error as SystemError {
            // A disk that is full, or fails, is no fault of the version.
            try? tree.remove()
            return .noSpace("\(error)")
        }
    }

    private func cleanUp(
        _ settings: InstallSettings, _ record: InstallRecord, _ done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        // Interrupted once its work was done.
        guard Files.exists(tree.path) else { return done(.succeeded) }
        do {
            try module(settings, record).run(.cleanup) { outcome in
                do throws(SystemError) {
                    try tree.remove()
                    done(outcome)
                } catch {
                    done(.failed("\(error)"))
                }
            }
        } catch {
            done(.failed("\(error)"))
        }
    }

    private func checkVersion(_ offer: Offer) -> StepOutcome {
        switch surroundings.installedVersion() {
        case .known(offer.versionCode, _): .succeeded
        case .known(let code, _): .failed("it was installed, but the box still reports versionCode \(code)")
        case .unknown(let reason): .failed("it was installed, but the box's version cannot be told: \(reason)")
        }
    }

    private func reboot(_ settings: InstallSettings, then done: @escaping @MainActor (InstallResult) -> Void) {
        guard let command = settings.rebootCommand.first else {
            return done(.restartRefused("install.rebootCommand is empty"))
        }
        let log: @MainActor (String) -> Void = { surroundings.report(.output($0.forPeople(limit: 1000))) }
        // What the command complains of first is why: systemctl names the inhibitor.
        var reason: String?
        ChildProcess.start(
            Program(
                command, Array(settings.rebootCommand.dropFirst()), streams: .captured, workingDirectory: "/",
                timeLimit: 60),
            onLine: log,
            onErrorLine: { line in
                reason = reason ?? line.forPeople(limit: 300)
                log(line)
            }
        ) { end in
            done(end.succeeded ? .restarting : .restartRefused(reason ?? "install.rebootCommand: \(end)"))
        }
    }

    // MARK: the record

    private func load() throws -> InstallRecord? {
        do {
            guard
                let found = try StoredFile.read(InstallRecord.self, from: recordPath, limit: maximumMessageBytes)
            else { return nil }
            if !found.unreadable.isEmpty {
                let fields = found.unreadable.joined(separator: ", ").forPeople(limit: 300)
                surroundings.report(.output("\(recordPath): fields that this version cannot read: \(fields)"))
            }
            return found.value
        } catch {
            return try recover(error)
        }
    }

    /// The record cannot be read. It is set aside for the operator, and what its file tree still tells leads back to the
    /// version that worked.
    private func recover(_ error: any Error) throws -> InstallRecord? {
        let line = "\(recordPath) was damaged and is set aside as \(recordPath).damaged"
        surroundings.report(.output("\(line) (\("\(error)".forPeople(limit: 200)))"))
        try Files.rename(recordPath, to: recordPath + ".damaged")
        guard let (job, module) = tree.installation() else { return nil }
        var record = InstallRecord(recovering: job, module: module, bootID: bootID)
        record.attempts = attempts(nil)
        record.attempts.countAttempt(at: job.offer.versionCode)
        try store(record)
        return record
    }

    private func store(_ record: InstallRecord) throws {
        let path = attemptsPath
        let stored = try? StoredFile.read(InstallAttempts.self, from: path, limit: maximumMessageBytes)?.value
        if record.attempts != stored ?? InstallAttempts() {
            try StoredFile.write(record.attempts, to: path, limit: maximumMessageBytes)
        }
        try StoredFile.write(record, to: recordPath, limit: maximumMessageBytes)
    }

    // MARK: the count of attempts

    private var attemptsPath: String { "\(folder)/attempts.json" }

    /// The count, from both places where it is stored.
    private func attempts(_ last: InstallRecord?) -> InstallAttempts {
        let stored = try? StoredFile.read(InstallAttempts.self, from: attemptsPath, limit: maximumMessageBytes)?.value
        return (stored ?? InstallAttempts()).merged(with: last?.attempts ?? InstallAttempts())
    }

    private func forgetAttempts(at versionCode: Int, _ last: InstallRecord?) throws {
        var attempts = attempts(last)
        attempts.forget { $0 == versionCode }
        try StoredFile.write(attempts, to: attemptsPath, limit: maximumMessageBytes)
        guard var record = last else { return }
        record.attempts = attempts
        try store(record)
    }
}

extension InstallJob {
    /// Whether an agent that asks for this id means this installation.
    func hasID(_ id: InstallID) -> Bool { self.id == id || self.id == Self.unknownID }

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
