public import Host
public import UpdateCore
public import Verification

/// Carries out an installation step by step. It stores each step first, so that it can resume after an interruption at any
/// moment.
@MainActor public struct Installer {
    /// `state.installerDirectory`: the record, the count of attempts and the file tree of the current installation.
    let directory: String
    let bootID: String
    let surroundings: Surroundings
    let held = HeldArtifact()

    /// What the program provides to the installer. The installer calls it anew each time, because an update may change the
    /// configuration and the version.
    public struct Surroundings {
        public var settings: @MainActor () throws -> InstallSettings
        public var installedVersion: @MainActor () -> InstalledVersion
        /// Begins to verify an artifact.
        public var verify: @MainActor (ArtifactSource, InstallJob) throws -> ArtifactReading
        public var report: @MainActor (InstallReport) -> Void
        public var stop: StopRequest

        public init(
            settings: @escaping @MainActor () throws -> InstallSettings,
            installedVersion: @escaping @MainActor () -> InstalledVersion,
            verify: @escaping @MainActor (ArtifactSource, InstallJob) throws -> ArtifactReading,
            report: @escaping @MainActor (InstallReport) -> Void, stop: StopRequest
        ) {
            self.stop = stop
            self.settings = settings
            self.installedVersion = installedVersion
            self.verify = verify
            self.report = report
        }
    }

    /// The caller keeps other installers out of the directory (``DirectoryLock``).
    ///
    /// - Throws: `SystemError` if the directory cannot be created.
    public init(directory: String, bootID: String, _ surroundings: Surroundings) throws {
        try Files.createDirectory(directory)
        self.directory = directory
        self.bootID = bootID
        self.surroundings = surroundings
    }

    var recordPath: String { "\(directory)/installation.json" }
    var tree: FileTree { FileTree(path: "\(directory)/tree") }

    /// How a request ended: with a result, or with an error of the installer itself.
    public typealias Completion = @MainActor (Result<InstallResult, any Error>) -> Void

    /// Handles one request of the agent.
    ///
    /// - Parameters:
    ///   - artifact: the open file that came with an `install` request.
    ///   - isRoot: whether root sent the request. Root is the operator; the agent may have been taken over.
    ///   - done: called once, possibly before this function returns.
    public func handle(
        _ message: InstallMessage, artifact: OpenFile? = nil, isRoot: Bool = false, then done: @escaping Completion
    ) {
        attempt(done) {
            let found = try load()
            switch message {
            case .resume(let id):
                guard let found, found.job.hasID(id) else { return done(.success(.unknown)) }
                resume(found, nil, done)
            case .forgetAttempts(let versionCode):
                let refusal = try forgetAttempts(at: versionCode, isRoot: isRoot, found)
                done(.success(refusal.map { .refused($0, code: .blocked) } ?? .unknown))
            case .reboot(let id):
                // An agent that has lost its state requests the reboot with another id.
                let awaitsReboot = found.map { $0.awaitsReboot && $0.bootID == bootID } ?? false
                guard let found, awaitsReboot || found.job.hasID(id) else { return done(.success(.unknown)) }
                guard awaitsReboot else { return resume(found, nil, done) }
                try reboot(found, done)
            // ``SpaceQuery`` answers it.
            case .space: done(.success(.unknown))
            case .cancel(let id):
                guard var found, found.job.hasID(id) else { return done(.success(.unknown)) }
                if found.bootID == bootID, found.cancel() { return run(found, nil, done) }
                resume(found, nil, done)
            case .install(let job):
                guard let found else { return try begin(job, artifact, nil, done) }
                // The same request again resumes the installation: nothing is installed twice.
                if found.job == job { return resume(found, artifact, done) }
                guard found.result == nil else { return try begin(job, artifact, found, done) }
                resume(found, nil) { outcome in
                    attempt(done) {
                        // It waits for a reboot, for example.
                        let last = try load()
                        if let last, last.result == nil { return done(outcome) }
                        try begin(job, artifact, last, done)
                    }
                }
            }
        }
    }

    /// Resumes an unfinished installation without a request, after a reboot or a restart of this program. If the rollback needs
    /// a reboot, this function reboots the device, because the agent may not be running.
    ///
    /// - Parameter done: called with nil if there is nothing to resume.
    public func resumePending(then done: @escaping @MainActor (Result<InstallResult?, any Error>) -> Void) {
        let end: Completion = { done($0.map(Optional.some)) }
        attempt(end) {
            guard let found = try load(), found.result == nil else { return done(.success(nil)) }
            resume(found, nil) { outcome in
                attempt(end) {
                    guard case .needsReboot(isRollback: true) = try outcome.get() else { return end(outcome) }
                    try reboot(try load() ?? found, end)
                }
            }
        }
    }

    /// Ends the request with the error that the body throws.
    func attempt(_ done: Completion, _ body: () throws -> Void) {
        do { try body() } catch { done(.failure(error)) }
    }

    /// - Parameter last: the record of the previous installation.
    private func begin(
        _ job: InstallJob, _ artifact: OpenFile?, _ last: InstallRecord?, _ done: @escaping Completion
    ) throws {
        let settings = try surroundings.settings()
        let (attempts, floor) = (try attempts(last), try floor(last))
        // A copy that was lost is replaced, even if the request is refused.
        try? storeCounts(attempts, floor)
        if let refusal = job.refusal(settings, installed: surroundings.installedVersion(), floor) {
            return done(.success(.refused(refusal.text, code: refusal.code)))
        }
        var record = InstallRecord(job: job, bootID: bootID, module: settings.module)
        record.began = Clock.wallTime
        record.agentWasEnabled = AgentUnit.isEnabled
        record.attempts = attempts
        record.floor = floor
        record.isAboveFloor = job.offer.versionCode > floor.versionCode(of: job.offer.urlKey)
        // The rest of the limit is for the reasons and results that the installation adds.
        guard try StoredFile.encode(record).count <= maximumMessageBytes / 2 else {
            return done(.success(.refused("its texts are too long to be stored", code: .jobInvalid)))
        }
        if let refusal = record.attempts.refusal(of: job.offer.versionCode, limit: settings.attempts) {
            return done(.success(.failed(refusal, code: .blocked)))
        }
        guard let artifact else {
            return done(.success(.artifactLost("the agent cannot open its file, and the installer does not have it")))
        }
        run(record, artifact, done)
    }

    private func resume(_ found: InstallRecord, _ artifact: OpenFile?, _ done: @escaping Completion) {
        attempt(done) {
            if let result = found.result { return done(.success(result)) }
            // Processes of an interrupted step must not run at the same time as the step's next run.
            for process in mark(found).endProcesses() {
                surroundings.report(.output("what was left of an interrupted \(found.step.name) is ended: \(process)"))
            }
            if found.step == .prepare {
                // Nothing has been changed yet. The tree is removed first, because a tree without a record would be rolled back.
                giveBackArtifact()
                try tree.remove()
                let (attempts, floor) = (try attempts(found), try floor(found))
                try storeCounts(attempts, floor)
                try Files.remove(recordPath)
                // Only the agent has the artifact: without it, the agent sends the request again.
                guard let artifact else { return done(.success(.unknown)) }
                // The configuration or the installed version may have changed: everything is checked again.
                return try begin(found.job, artifact, nil, done)
            }
            var record = found
            record.attempts = try attempts(found)
            record.floor = try floor(found)
            if tree.isCommitted {
                // The power failed before the record said so.
                (record.failure, record.failureCode) = (nil, nil)
                record.go(to: .module(.cleanup))
            } else {
                let installed = surroundings.installedVersion().versionCode
                record.resume(bootID: bootID, runsVersion: installed == found.job.offer.versionCode)
            }
            run(record, artifact, done)
        }
    }

    /// Stores the record, then performs the step that it names.
    ///
    /// - Parameter tries: how often the commit may be stored again after an error of the disk.
    private func run(
        _ record: InstallRecord, _ artifact: OpenFile?, tries: Int = Self.commitTries, _ done: @escaping Completion
    ) {
        attempt(done) {
            let isCommit = record.step == .module(.cleanup) && record.failure == nil
            var record = record
            switch record.step {
            case .module(.download): record.attempts.countAttempt(at: record.job.offer.versionCode)
            case .module(.cleanup) where isCommit:
                // The version is committed.
                if record.isAboveFloor { record.attempts.forget(committed: record.job.offer.versionCode) }
                record.floor = record.floorAfterCommit
            default: break
            }
            do {
                if isCommit, Files.exists(tree.path) { try tree.noteCommit() }
                try store(record)
            } catch {
                // The module has committed. If that were not stored, the next start would roll back.
                guard isCommit, tries > 0 else { throw error }
                surroundings.report(.output("storing the commit again: \("\(error)".sanitized(limit: 300))"))
                return MainQueue.after(Self.commitPause) { run(record, artifact, tries: tries - 1, done) }
            }
            if let result = record.result { return done(.success(result)) }
            if surroundings.stop.isMade { return stop(record, done) }
            surroundings.report(.state(record.step.name))
            var hasStopped = false
            switch record.step {
            case .checkHealth, .restartUnits, .restartUnitsForRollback:
                surroundings.stop.whenMade {
                    hasStopped = true
                    stop(record, done)
                }
            default: break
            }
            perform(record, artifact) { outcome in
                guard !hasStopped else { return }
                surroundings.stop.clear()
                ended(record, outcome, artifact, done)
            }
        }
    }

    /// Continues after a step. A step that fails while the system shuts down has been stopped: what it needs may have ended first.
    private func ended(
        _ record: InstallRecord, _ outcome: StepOutcome, _ artifact: OpenFile?, _ done: @escaping Completion
    ) {
        switch outcome {
        case .awaitsReboot: done(.success(.needsReboot(isRollback: record.step == .rebootIntoRollback)))
        case .rebooting: done(.success(.rebooting))
        case .rebootRefused(let reason): done(.success(.rebootRefused(reason)))
        case .stopped: stop(record, inTheMiddle: true, done)
        // The step is repeated later; each time counts as an interruption.
        case .postponed(let reason) where record.step == .module(.rollback):
            done(.success(.lost("the rollback is tried again: \(reason)")))
        case .agentStopped: stop(record, because: AgentUnit.stopped, done)
        case .failed where surroundings.stop.isMade && record.step != .prepare:
            stop(record, inTheMiddle: true, done)
        case .failed where record.step != .prepare:
            ServiceManagerState.isStopping { isStopping in
                if isStopping { return stop(record, inTheMiddle: true, done) }
                advance(record, outcome, artifact, done)
            }
        default: advance(record, outcome, artifact, done)
        }
    }

    private func advance(
        _ record: InstallRecord, _ outcome: StepOutcome, _ artifact: OpenFile?, _ done: @escaping Completion
    ) {
        var next = record
        next.advance(outcome)
        run(next, artifact, done)
    }

    /// Stores that the step has not been interrupted: it is resumed, and not counted.
    private func stop(
        _ record: InstallRecord, inTheMiddle: Bool = false, because reason: String? = nil,
        _ done: @escaping Completion
    ) {
        attempt(done) {
            var record = record
            record.stop(inTheMiddle: inTheMiddle)
            try store(record)
            done(.failure(reason.map { StopRequest.Stopped(description: $0) } ?? StopRequest.Stopped()))
        }
    }

    private static let commitTries = 5
    private static let commitPause: Seconds = 0.5
}

extension InstallJob {
    /// Whether a request with this id is for this installation.
    func hasID(_ id: InstallID) -> Bool { self.id == id || self.id == Self.unknownID }

    /// Why the installer refuses the request, or nil. These checks do not rely on the agent; the signature is verified later.
    func refusal(_ settings: InstallSettings, installed: InstalledVersion, _ floor: VersionFloor) -> Reason? {
        guard offer.urlKey == settings.urlKey else {
            return Reason("it is for another application than device.urlKey", .offerForeign)
        }
        guard id != Self.unknownID else { return Reason("its id is \(id)", .jobInvalid) }
        guard (sidecar?.utf8.count ?? 0) <= maximumSidecarBytes else {
            return Reason("its signature file is too long", .jobInvalid)
        }
        if let refusal = floor.refusal(of: offer, pinned: settings.appointVersionCode) {
            return Reason(refusal, .belowFloor)
        }
        // Otherwise the device could alternate between the pinned version and this one.
        if let pinned = settings.appointVersionCode, offer.versionCode > pinned {
            return Reason(
                "versionCode \(offer.versionCode) is above \(pinned), to which device.appointVersionCode pins this device",
                .abovePin)
        }
        // If the installed version is unknown, only the floor can be compared with. The agent cannot influence either.
        guard case .known(let running, _) = installed else { return nil }
        guard
            offer.versionCode > running
                || offer.versionCode < running && offer.versionCode == settings.appointVersionCode
        else {
            return Reason(
                "versionCode \(offer.versionCode) is not above the installed \(running); "
                    + "a downgrade needs device.appointVersionCode", .notNewer)
        }
        return nil
    }
}
