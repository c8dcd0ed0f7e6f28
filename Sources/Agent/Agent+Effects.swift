import Configuration
import Host
import Logging
import UpdateCore

/// Carries out the effects that the core decided on. Their results return as events.
extension Agent {
    func perform(_ effect: Effect) {
        switch effect {
        case .check(let checkRequest): check(checkRequest)
        case .download(let offer): fetch(offer)
        case .stopDownload: stopDownload()
        case .install(let job): install(job.id, .install(job))
        case .resumeInstall(let id): install(id, .resume(id))
        case .reboot(let id): install(id, .reboot(id))
        case .cancelInstall(let id): install(id, .cancel(id))
        case .forgetAttempts(let versionCode): forgetAttempts(versionCode)
        case .announce(let announcement): announce(announcement)
        case .send(let id, let report): send(id, report)
        case .emptyInbox(let versionCode): store.inbox.empty(upTo: versionCode)
        case .cleanStaging(let keep): cleanStaging(keep: keep)
        case .log(let notice): log(notice)
        }
    }

    // MARK: the network

    private func check(_ checkRequest: CheckRequest) {
        // A worker of an earlier agent may have stored an offer after that agent had ended.
        if let offer = store.inbox.read() {
            handle(.checked(CheckReport(response: .offer(offer))))
            return
        }
        let job = settings.checkJob(checkRequest, credentials, state.serverClock, inbox: store.inbox.path)
        var result: CheckReport?
        FetchWorker(installation).start(.check(job), timeLimit: settings.requestTimeLimit) { [logger] report in
            switch report {
            case .checked(let report): result = report
            case .note(let line): logger.info("\(line)")
            case .reported, .progress, .downloaded, .adopted, .digest: break
            }
        } onEnd: { [self] end in
            // A worker may have ended after it had stored an offer and before it reported the offer.
            let stored = store.inbox.read().map { CheckReport(response: .offer($0)) }
            handle(.checked(result ?? stored ?? CheckReport(response: .transientError(.worker("\(end)")))))
        }
    }

    private func send(_ id: Int, _ report: Report) {
        let job = settings.reportJob(report, credentials, state.serverClock, devKey: devKey)
        var delivery: Delivery?
        FetchWorker(installation).start(.report(job), timeLimit: settings.requestTimeLimit) { report in
            if case .reported(let result) = report { delivery = result }
        } onEnd: { [self] end in
            handle(.reported(id: id, delivery ?? .transientError(.worker("\(end)"))))
        }
    }

    private func fetch(_ offer: Offer) {
        progress = nil
        // A terminated download may still be running, and two downloads must not write to one file.
        guard download == nil, !isPlanning else {
            nextDownload = offer
            if isPlanning { isDownloadWanted = true }
            return
        }
        // The next start continues with the download.
        if lostDownloadDirectory() != nil { return }
        isDownloadWanted = true
        isPlanning = true
        planSpace { [self] needs in
            isPlanning = false
            let next = nextDownload ?? offer
            nextDownload = nil
            if isDownloadWanted { startDownload(next, needs) }
        }
    }

    /// Seconds that the installer and its module have to say what they will need. Then the download begins without the answer.
    private static let planTime: Seconds = 30

    /// Asks the installer what disk space the installation will need.
    private func planSpace(then done: @escaping @MainActor ([SpaceNeed]?) -> Void) {
        var needs: [SpaceNeed]?
        InstallerClient(installation.installer, timeLimit: Self.planTime).send(
            .space, onReport: { if case .space(let found) = $0 { needs = found } }, onEnd: { _ in done(needs) })
    }

    private func startDownload(_ offer: Offer, _ needs: [SpaceNeed]?) {
        for need in needs ?? [] where need != plannedNeeds.first(where: { $0.directory == need.directory }) {
            let more = need.bytes > 0 ? " and \(describe(bytes: need.bytes))" : ""
            logger.info("An installation needs \(need.percent) % of the artifact's size\(more) in \(need.directory)")
        }
        plannedNeeds = needs ?? []
        var log = ProgressLog()
        var result: (DownloadResult, DownloadTraffic)?
        var job = settings.downloadJob(offer, speedLimit: speedLimit)
        job.space = needs
        download = FetchWorker(installation).start(.download(job), timeLimit: settings.download.timeout) {
            [self] report in
            switch report {
            case .progress(let progress) where isDownloadWanted:
                self.progress = progress
                if let line = log.line(progress, offer, now: Clock.bootTime) { logger.info("\(line)") }
                refresh()
            case .downloaded(let value, let traffic): result = (value, traffic)
            case .note(let line): logger.info("\(line)")
            case .progress, .checked, .reported, .adopted, .digest: break
            }
        } onEnd: { [self] end in
            progress = nil
            download = nil
            let (value, traffic) = result ?? (.transientError(.worker("\(end)")), DownloadTraffic())
            let next = nextDownload
            nextDownload = nil
            if next == nil, isDownloadWanted {
                return handle(.downloaded(versionCode: offer.versionCode, value, traffic))
            }
            metricSources.counters.add(traffic)
            updateMetrics()
            if let next { fetch(next) }
        }
    }

    private func stopDownload() {
        nextDownload = nil
        isDownloadWanted = false
        progress = nil
        download?.terminate()
    }

    func tellDownload(_ job: DownloadControl) {
        if let line = try? JSONLine.encode(job) { download?.send(line) }
    }

    // MARK: the installer

    private func install(_ id: InstallID, _ request: InstallRequest) {
        let client = InstallerClient(installation.installer, timeLimit: settings.installTimeLimit)
        phase = nil
        var state = ""
        client.send(request) { [self] report in
            switch report {
            case .state(let name):
                state = name
                phase = name
                if !Self.phasesBeforeTheUserInterface.contains(name) { hasInstalledAtBoot = true }
                refresh()
            case .output(let text):
                logger.info("\(text)", metadata: ["UPGRADELINK_MODULE_STATE": "\(state)"])
                // RAUC prints its progress like this; other modules can do the same.
                if let percentage = text.leadingPercentage {
                    phase = "\(state), \(percentage) %"
                    refresh()
                }
            case .space, .finished: break
            }
        } onEnd: { [self] result in
            phase = nil
            // The update may have changed the configuration, which may contain the installed version.
            reloadQuietly()
            handle(.installed(id, result))
        }
    }

    private func forgetAttempts(_ versionCode: Int) {
        let client = InstallerClient(installation.installer, timeLimit: settings.requestTimeLimit)
        client.send(.forgetAttempts(versionCode: versionCode), onReport: { _ in }) { [logger] result in
            switch result {
            case .lost(let reason), .refused(let reason, _):
                logger.warning("The attempts of versionCode \(versionCode) were not reset: \(reason)")
            default: break
            }
        }
    }

    // MARK: the disk

    /// Removes the staging files of other versions. Their names begin with the versionCode: `4.part`, `4.artifact`.
    private func cleanStaging(keep: Int?) {
        let directory = settings.download.directory
        for name in (try? Files.list(directory)) ?? [] {
            let parts = name.split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let code = Int(parts[0]), stagingSuffixes.contains(String(parts[1])) else {
                continue
            }
            if code != keep { try? Files.remove("\(directory)/\(name)") }
        }
    }

    // MARK: the log

    private func log(_ notice: Notice) {
        var metadata: Logger.Metadata = [:]
        if let id = notice.messageID { metadata["MESSAGE_ID"] = "\(id)" }
        if let code = notice.reasonCode { metadata["UPGRADELINK_REASON"] = "\(code.rawValue)" }
        if let offer = notice.offer {
            metadata["UPGRADELINK_VERSION_CODE"] = "\(offer.versionCode)"
            metadata["UPGRADELINK_VERSION_NAME"] = "\(offer.versionName)"
            metadata["UPGRADELINK_UPGRADE_TYPE"] = "\(offer.upgradeType.name)"
        }
        logger.log(level: notice.level.forLogger, "\(notice.message)", metadata: metadata)
    }
}

extension Notice.Level {
    fileprivate var forLogger: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

/// Download progress for the log: a line for each tenth of the file, and at most one in ten seconds.
struct ProgressLog {
    private var lastTenth: Int64 = 0
    private var lastTime = BootInstant(-.infinity)

    mutating func line(_ progress: DownloadProgress, _ offer: Offer, now: BootInstant) -> String? {
        guard progress.total > 0, now - lastTime >= 10 else { return nil }
        let tenth = progress.received * 10 / progress.total
        guard tenth > lastTenth else { return nil }
        lastTenth = tenth
        lastTime = now
        return
            "Downloading \(offer.title): \(tenth * 10) % of \(describe(bytes: progress.total)), \(describe(bytes: progress.rate))/s"
    }
}
