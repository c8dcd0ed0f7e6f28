import Host
import UpdateCore

/// Carries out each step of an installation.
extension Installer {
    func perform(
        _ record: InstallRecord, _ artifact: OpenFile?, then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        do {
            let settings = try settings(for: record)
            switch record.step {
            case .prepare:
                _ = try module(settings, record)
                guard let artifact else { return done(.failed("no file came with the request", code: .jobInvalid)) }
                prepare(record.job, artifact, settings, then: done)
            case .module(.cleanup):
                cleanUp(settings, record, done)
            case .module(.commit):
                // A disk that is full by then must not make a committed version look uncommitted.
                if Files.exists(tree.path) { try tree.prepareCommit(record.floorAfterCommit) }
                try module(settings, record).run(.commit, then: done)
            case .module(.reboot), .module(.rollbackReboot):
                try reboot(with: module(settings, record), record, settings, then: done)
            case .module(let state) where state == .download || state == .install:
                let module = try module(settings, record)
                hold(record.job, settings, during: state, then: done) { module.run(state, then: $0) }
            case .module(let state):
                try module(settings, record).run(state, then: done)
            case .askNeedsReboot, .askNeedsRebootForRollback:
                try module(settings, record).query("NeedsArtifactReboot") { response in
                    done(Self.rebootNeed(response, settings))
                }
            case .askSupportsRollback:
                try module(settings, record).query("SupportsRollback") { response in
                    switch response {
                    case .success(let text): done(.supportsRollback(text == "Yes"))
                    case .failure(let failure): done(failure.outcome)
                    }
                }
            case .checkVersion:
                done(checkVersion(record.job.offer))
            case .checkHealth:
                var health = settings.health
                health.units += settings.restartUnits.filter { !health.units.contains($0) }
                health.run(permitted: { permittedAbsence(record) }, log: log, then: done)
            case .restartUnits:
                UnitRestart(units: settings.restartUnits, timeLimit: settings.health.timeLimit).run(log, then: done)
            case .restartUnitsForRollback:
                restartForRollback(settings, record, then: done)
            case .reboot, .rebootIntoRollback:
                done(.awaitsReboot)
            case .done:
                done(.succeeded)
            }
        } catch {
            done(.failed("\(error)"))
        }
    }

    /// The current settings. A rollback does not need them: the new version may not be able to read its configuration.
    private func settings(for record: InstallRecord) throws -> InstallSettings {
        do {
            return try surroundings.settings()
        } catch {
            guard record.failure != nil, let module = record.module ?? tree.module else { throw error }
            surroundings.report(.output("rolling back without the configuration: \("\(error)".sanitized(limit: 300))"))
            return InstallSettings(tree.rollbackSettings ?? .standard, module: module)
        }
    }

    private static func rebootNeed(
        _ response: Result<String, UpdateModule.QueryFailure>, _ settings: InstallSettings
    ) -> StepOutcome {
        switch response {
        case .failure(let failure): return failure.outcome
        case .success(""): return .needsReboot(.no)
        case .success(let text):
            guard let need = RebootNeed(rawValue: text) else {
                return .failed("\(settings.module) answers NeedsArtifactReboot with \"\(text.sanitized(limit: 40))\"")
            }
            return .needsReboot(need)
        }
    }

    /// Marks the processes that a step starts. The directory distinguishes the processes of several installers.
    func mark(_ record: InstallRecord) -> ProcessMark {
        ProcessMark(name: "UPGRADELINK_STEP", value: "\(record.job.id) \(record.step.name) \(directory)")
    }

    /// The module of the record. Version 0.1.0 stored it in the file tree only.
    private func module(
        _ settings: InstallSettings, _ record: InstallRecord
    ) throws(UpdateModule.Failure) -> UpdateModule {
        let name = record.module ?? (record.step == .prepare ? nil : tree.module) ?? settings.module
        return try UpdateModule(name, settings, tree: tree, mark: mark(record), stop: surroundings.stop) {
            surroundings.report(.output($0.sanitized(limit: 1000)))
        }
    }

    /// Calls the module's own reboot. A module that returns has requested it, and the next boot continues.
    private func reboot(
        with module: UpdateModule, _ record: InstallRecord, _ settings: InstallSettings,
        then done: @escaping @MainActor (StepOutcome) -> Void
    ) throws {
        guard !module.restartsPeripheral else {
            return module.run(record.step == .module(.reboot) ? .reboot : .rollbackReboot, then: done)
        }
        if record.mustBeForced(at: Clock.bootTime, after: settings.inhibitLimit + settings.rebootTimeout) {
            return forceReboot { result in
                if case .rebootRefused(let reason) = result { done(.rebootRefused(reason)) } else { done(.rebooting) }
            }
        }
        try noteRebootRequest(record, isTried: true)
        let state = record.step == .module(.reboot) ? ModuleState.reboot : .rollbackReboot
        module.run(state) { outcome in
            switch outcome {
            case .succeeded: done(.rebooting)
            // There is nothing else to do than to try again: the version that runs is not to stay.
            case .failed(let reason, _) where state == .rollbackReboot: done(.rebootRefused(reason))
            case .postponed(let reason): done(.rebootRefused(reason))
            default: done(outcome)
            }
        }
    }

    /// Stores since when a reboot is requested, and that it was not only delayed.
    private func noteRebootRequest(_ record: InstallRecord, isTried: Bool) throws {
        guard record.rebootRequestedSince == nil || isTried && record.rebootWasTried != true else { return }
        var record = record
        record.rebootRequestedSince = record.rebootRequestedSince ?? Clock.bootTime.seconds
        if isTried { record.rebootWasTried = true }
        try store(record)
    }

    private func restartForRollback(
        _ settings: InstallSettings, _ record: InstallRecord,
        then done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        let health = settings.health
        health.findUnitsThatDoNotRun(permitted: { permittedAbsence(record) }) { stopped in
            let units = settings.restartUnits + stopped.filter { !settings.restartUnits.contains($0) }
            UnitRestart(units: units, timeLimit: health.timeLimit).run(log) { outcome in
                guard outcome == .succeeded, !units.isEmpty else { return done(outcome) }
                HealthCheck(units: units, settleTime: health.settleTime, timeLimit: health.timeLimit)
                    .run(permitted: { [.disabled, .masked] }, log: log, then: done)
            }
        }
    }

    /// The agent is not needed for a good version if its unit was disabled before the installation, or was disabled or masked by hand since
    /// then. A version that comes without an enabled agent is not good: it would be the last one that the device gets.
    private func permittedAbsence(_ record: InstallRecord) -> AgentUnit.Permission {
        if record.agentWasEnabled == false { return [.disabled, .masked] }
        return record.began.map { AgentUnit.changes(since: $0) } ?? []
    }

    func log(_ line: String) { surroundings.report(.output(line.sanitized(limit: 1000))) }

    private func cleanUp(
        _ settings: InstallSettings, _ record: InstallRecord, _ done: @escaping @MainActor (StepOutcome) -> Void
    ) {
        // A previous run removed the tree and was interrupted before the next step was stored.
        guard Files.exists(tree.path) else { return done(.succeeded) }
        do {
            try module(settings, record).run(.cleanup) { outcome in
                if outcome == .stopped { return done(outcome) }
                if record.failure != nil { giveBackArtifact() }
                do throws(SystemError) {
                    try tree.remove()
                    done(outcome)
                } catch {
                    done(.failed("\(error)"))
                }
            }
        } catch {
            // The module is missing. Without a tree there is nothing left to roll back.
            if record.failure != nil { giveBackArtifact() }
            try? tree.remove()
            done(.failed("\(error)"))
        }
    }

    private func checkVersion(_ offer: Offer) -> StepOutcome {
        switch surroundings.installedVersion() {
        case .known(offer.versionCode, _): .succeeded
        case .known(let code, _): .failed("it was installed, but the device still reports versionCode \(code)")
        case .unknown(let reason): .failed("it was installed, but the device's version cannot be read: \(reason)")
        }
    }

    func reboot(_ record: InstallRecord, _ done: @escaping Completion) throws {
        let settings = try settings(for: record)
        guard !settings.rebootCommand.isEmpty else {
            return done(.success(.rebootRefused("install.rebootCommand is empty")))
        }
        let now = Clock.bootTime
        if record.mustBeForced(at: now, after: settings.inhibitLimit + settings.rebootTimeout) {
            return forceReboot { done(.success($0)) }
        }
        let run: @MainActor (Bool) -> Void = { ignoringInhibitors in
            attempt(done) {
                try noteRebootRequest(record, isTried: true)
                runRebootCommand(settings.rebootCommand) { result in
                    guard case .rebootRefused = result, ignoringInhibitors else { return done(.success(result)) }
                    rebootDespiteInhibitor(or: result) { done(.success($0)) }
                }
            }
        }
        guard record.mayBeDelayed(at: now, by: settings.inhibitLimit) else { return run(true) }
        RebootInhibitors.findFirst { inhibitor in
            guard let inhibitor else { return run(false) }
            attempt(done) {
                try noteRebootRequest(record, isTried: false)
                done(.success(.rebootRefused(inhibitor)))
            }
        }
    }

    /// As systemctl(1) itself does without logind: all units are stopped.
    private static let rebootTarget = [
        "/usr/bin/systemctl", "start", "--no-block", "--job-mode=replace-irreversibly", "reboot.target",
    ]

    /// Reboots the device without logind if an inhibitor is why the command was refused, because it may no longer delay the
    /// reboot: since systemd 257, logind lets no user ignore one, not even root, unless a rule of polkit allows it.
    private func rebootDespiteInhibitor(
        or refusal: InstallResult, then done: @escaping @MainActor (InstallResult) -> Void
    ) {
        RebootInhibitors.findFirst { inhibitor in
            guard let inhibitor else { return done(refusal) }
            log("\(inhibitor); it has delayed the reboot long enough: \(Self.rebootTarget.joined(separator: " "))")
            runRebootCommand(Self.rebootTarget, then: done)
        }
    }

    /// For a rollback whose reboot does not come: systemctl(1) then stops no units, but still writes all data to the disks.
    private static let forcedReboot = ["/usr/bin/systemctl", "reboot", "--force"]

    private func forceReboot(then done: @escaping @MainActor (InstallResult) -> Void) {
        log("the reboot has not come: \(Self.forcedReboot.joined(separator: " "))")
        runRebootCommand(Self.forcedReboot, then: done)
    }

    private func runRebootCommand(_ command: [String], then done: @escaping @MainActor (InstallResult) -> Void) {
        // The first line of standard error is the reason.
        var reason: String?
        ChildProcess.start(
            Program(
                command[0], Array(command.dropFirst()), streams: .captured, workingDirectory: "/", timeLimit: 60),
            onLine: log,
            onErrorLine: { line in
                reason = reason ?? line.sanitized(limit: 300)
                log(line)
            }
        ) { end in
            done(end.succeeded ? .rebooting : .rebootRefused(reason ?? "install.rebootCommand: \(end)"))
        }
    }
}
