extension Machine {
    mutating func installed(_ id: InstallID, _ result: InstallResult) {
        guard let work = state.work, work.step == .installing(id) || work.step == .restarting(id) else {
            log(.ignored("the end of installation \(id), which nobody waits for"))
            return
        }
        let code = work.offer.versionCode
        switch result {
        case .committed:
            committed(work)
        case .needsRestart(let isRollback):
            var work = work
            work.step = .restartReady(id, isRollback: isRollback, since: now)
            work.mayRestart = false
            state.work = work
            if let hold = hold(work) { log(.held(work.offer, "the restart " + hold.line(context, state))) }
        case .restarting:
            state.work?.step = .restarting(id)
        case .rolledBack(let reason):
            log(.rolledBack(work.offer, reason))
            report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.rolledBack))
            failed(work, .rolledBack, "rolled back: \(reason)")
        case .failed(let reason):
            report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.failed))
            failed(work, .failed, reason)
        case .refused(let reason):
            // What the installer does not believe is fetched anew.
            var work = work
            work.artifact = nil
            report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.refused))
            failed(work, .refused, "the installer refused it: \(reason)")
        case .noSpace(let reason): postponeUntilThereIsSpace(work, reason)
        case .unknown:
            // The agent stored its order, and stopped before the installer had stored anything.
            guard let artifact = work.artifact else { return failed(work, .failed, "its artifact is lost") }
            effects.append(.install(InstallOrder(id: id, offer: work.offer, artifact: artifact)))
        case .restartRefused(let reason):
            var work = work
            work.obstacles += 1
            let delay = policy.schedule.otherDelay(failures: work.obstacles, &chance)
            postpone(work, by: delay, .restartRefused(id, reason))
        case .lost(let reason):
            // The installer keeps its own state: whatever it did, it goes on from there.
            var work = work
            work.obstacles += 1
            let delay = policy.schedule.otherDelay(failures: work.obstacles, &chance)
            postpone(work, by: delay, .installerLost(id, reason))
        }
    }

    mutating func committed(_ work: Work) {
        let code = work.offer.versionCode
        guard context.installed.versionCode == code else {
            let reason = "installed, but the box reports \(context.installed.title)"
            report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.failed))
            return failed(work, .failed, reason)
        }
        state.lastCommitted = code
        state.trials.removeAll { $0.versionCode <= code }
        state.lastError = nil
        log(.committed(work.offer))
        report(.upgrade(running: work.installedBefore ?? runningCode, version: code, code: Report.Code.success))
        end(work, .installed, "")
        // The next version may be waiting already, as is the rule when a box catches up. All boxes that are updated together
        // ask again, so that it is anywhere in the interval.
        state.poll.next = now + chance.uniform(0, min(policy.schedule.splay, policy.schedule.interval))
    }

    /// The version that runs now, for reports; 0 where the box cannot tell.
    var runningCode: Int { context.installed.versionCode ?? 0 }
}
