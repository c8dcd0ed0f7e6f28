// What comes between an offer and its verified file is never counted against the version: the server may not grant the offer a
// second time, and everybody on the path can cause such errors. The offer stays, and the delay between two tries grows.

extension Machine {
    mutating func downloaded(_ versionCode: Int, _ result: DownloadResult, _ traffic: DownloadTraffic) {
        guard var work = state.work, work.step == .downloading, work.offer.versionCode == versionCode else {
            log(.ignored("the end of a download of version \(versionCode), which is not the current download"))
            return
        }
        work.received += min(max(traffic.received, 0), ByteCount.max - work.received)
        work.fileSize = max(work.fileSize, traffic.size)
        switch result {
        case .verified(let artifact):
            work.artifact = artifact
            work.forgetObstacles()
            work.received = 0
            state.forgetError()
            log(.verified(work.offer, bytes: artifact.size))
            report(.download(running: runningCode, version: versionCode, code: Report.Code.success))
            begin(work)
        case .gone(let reason):
            work.goneSince = work.goneSince ?? context.knownTime(state)
            tryDownloadLater(work, .file(reason, code: .fileMissing))
        case .refused(let reason, let code):
            work.artifact = nil
            work.goneSince = nil
            if !work.hasReportedRefusal {
                work.hasReportedRefusal = true
                report(.download(running: runningCode, version: versionCode, code: Report.Code.refused))
            }
            tryDownloadLater(work, .file(reason, code: code ?? .unknown))
        case .noSpace(let reason): postponeUntilThereIsSpace(work, reason)
        case .transientError(let error):
            if error.isResponse { work.goneSince = nil }
            if case .tls = error { awaitClock() }
            tryDownloadLater(work, error)
        }
    }

    private mutating func tryDownloadLater(_ work: Work, _ error: TransientError) {
        var error = error
        // How many times three times the file's size has been received.
        let isMuch = work.received >= Work.wasteMinimum && work.fileSize > 0
        let waste = isMuch ? Int(min(work.received / Work.wasteFactor / work.fileSize, 6)) : 0
        if waste > 0 {
            error = error.adding(
                "\(describe(bytes: work.received)) have been received for a file of \(describe(bytes: work.fileSize))")
        }
        let failures = min(work.obstacles, 1000) + 1 + 2 * waste
        let delay = policy.schedule.downloadDelay(after: error, failures: failures, &chance)
        postpone(work, by: delay, .transientError(error))
    }

    /// A full disk is not counted against the version. The delay has a lower bound, because disk space is seldom freed within
    /// seconds.
    mutating func postponeUntilThereIsSpace(_ work: Work, _ reason: String) {
        let backOff = policy.schedule.otherDelay(failures: work.obstacles + 1, &chance)
        postpone(work, by: max(backOff, min(600, policy.schedule.backOffCap)), .noSpace(reason))
    }

    /// Counts an obstacle, and waits.
    ///
    /// - Parameter code: nil for that of the reason.
    mutating func postpone(_ work: Work, by delay: Seconds, _ why: Work.RetryReason, _ code: ReasonCode? = nil) {
        let code = code ?? why.code
        var work = work
        work.obstacles += 1
        if work.obstaclesSince == nil { work.obstaclesSince = context.knownTime(state) }
        work.step = .later(at: now + delay, why: why)
        state.work = work
        state.note(Reason(why.line, code))
        log(.postponed(work.offer, why, code, retryIn: delay))
    }

    /// Ends an offer whose file has been missing for days, as soon as the server no longer offers that version either.
    mutating func endIfGone() {
        guard let work = state.work, work.isWaiting, let since = work.goneSince, let time = context.knownTime(state),
            time - since >= Work.goneLimit, work.obstacles >= Work.goneTries
        else { return }
        let reason = "its file was missing for \(describe(time - since)), and the server no longer offers it"
        state.note(Reason("\(work.offer.title) is not available: \(reason)", .fileMissing))
        log(.gone(work.offer, reason))
        report(.download(running: runningCode, version: work.offer.versionCode, code: Report.Code.gone))
        end(work, .gone, Reason(reason, .fileMissing))
    }
}

extension Work {
    /// An offer whose file is missing (HTTP 404 or 410) stays at least for this long, in seconds.
    static let goneLimit: Seconds = 3 * 86_400
    /// It also stays for this many tries: the clock may have been set forward in between.
    static let goneTries = 4
    /// If more than this many times the file's size has been received, the delays are four times as long; and again at each
    /// multiple.
    static let wasteFactor: ByteCount = 3
    /// Less data than this is not worth a word, in bytes.
    static let wasteMinimum: ByteCount = 100_000

    mutating func forgetObstacles() {
        obstacles = 0
        obstaclesSince = nil
        goneSince = nil
    }
}

extension TransientError {
    /// A server responded, so the file's host can be reached.
    var isResponse: Bool {
        switch self {
        case .rateLimited, .server, .unreadable, .file: true
        case .network, .tls, .worker: false
        }
    }

    func adding(_ text: String) -> TransientError {
        switch self {
        case .rateLimited: self
        case .server(let status, let detail, let retryAfter):
            .server(status: status, detail: detail + (detail.isEmpty ? "" : "; ") + text, retryAfter: retryAfter)
        case .network(let before): .network("\(before); \(text)")
        case .tls(let before): .tls("\(before); \(text)")
        case .unreadable(let before): .unreadable("\(before); \(text)")
        case .worker(let before): .worker("\(before); \(text)")
        case .file(let before, let retryAfter, let code):
            .file("\(before); \(text)", retryAfter: retryAfter, code: code)
        }
    }
}
