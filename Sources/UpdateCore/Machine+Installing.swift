extension Machine {
    mutating func installed(_ id: InstallID, _ result: InstallResult) {
        guard var work = state.work, work.step == .installing(id) || work.step == .rebooting(id) else {
            log(.ignored("the end of installation \(id), which is not the current installation"))
            return
        }
        switch result {
        case .artifactLost, .unknown, .lost: break
        case .committed, .rolledBack, .failed, .refused, .noSpace, .interrupted, .needsReboot, .rebooting,
            .rebootRefused:
            work.artifactLosses = nil
        }
        take(result, of: id, work)
        keepCancelled()
    }

    private mutating func take(_ result: InstallResult, of id: InstallID, _ work: Work) {
        let version = work.offer.versionCode
        switch result {
        case .committed:
            committed(work)
        case .needsReboot(let isRollback): rebootNeeded(work, id, isRollback: isRollback)
        case .rebooting: rebootRequested(work, id)
        case .rolledBack(let text, let code):
            let code = code ?? .installationFailed
            log(.rolledBack(work.offer, Reason(text, code)))
            report(
                .upgrade(running: work.installedBefore ?? runningCode, version: version, code: Report.Code.rolledBack))
            failed(work, .rolledBack, Reason("rolled back: \(text)", code))
        case .failed(let text, let code):
            report(.upgrade(running: work.installedBefore ?? runningCode, version: version, code: Report.Code.failed))
            failed(work, .failed, Reason(text, code ?? .installationFailed))
        case .refused(let text, let code):
            // The staged file may be damaged, so it is downloaded again.
            var work = work
            work.artifact = nil
            report(.upgrade(running: work.installedBefore ?? runningCode, version: version, code: Report.Code.refused))
            failed(work, .refused, Reason("the installer refused it: \(text)", code ?? .installerRefused))
        case .noSpace(let reason): postponeUntilThereIsSpace(work, reason)
        case .interrupted(let text, let code): interrupted(work, Reason(text, code ?? .interrupted))
        case .artifactLost(let reason): artifactLost(work, reason)
        case .unknown where work.hasBecomeInstalled(context.installed):
            // The installer lost its record in the wait for a reboot.
            committed(work)
        case .unknown where work.isCancelled == true: interrupted(work, Reason("it was cancelled", .cancelled))
        case .unknown:
            // The agent stored the job, but stopped before the installer had stored its record.
            guard let artifact = work.artifact else { return artifactLost(work, "its place is not known") }
            var work = work
            work.step = .installing(id)
            state.work = work
            effects.append(.install(StagedInstallJob(id: id, offer: work.offer, artifact: artifact)))
        case .rebootRefused(let reason): rebootRefused(work, id, reason)
        case .lost(let reason):
            // The installer resumes from its own record.
            let delay = policy.schedule.otherDelay(failures: work.obstacles + 1, &chance)
            postpone(work, by: delay, .installerLost(id, reason))
        }
    }

    mutating func committed(_ work: Work) {
        let code = work.offer.versionCode
        guard context.installed.versionCode == code else {
            let reason = Reason("installed, but the device reports \(context.installed.title)", .versionMismatch)
            report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.failed))
            return failed(work, .failed, reason)
        }
        state.lastCommitted = code
        state.trials.removeAll { $0.versionCode <= code }
        state.forgetError()
        log(.committed(work.offer))
        report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.success))
        end(work, .installed, nil)
        // A device that is several versions behind finds the next version at once. Devices that are updated together spread this
        // check over the splay.
        state.poll.next = now + chance.uniform(0, min(policy.schedule.splay, policy.schedule.interval))
    }

    /// The installed versionCode, for reports; 0 if it is unknown.
    var runningCode: Int { context.installed.versionCode ?? 0 }
}
