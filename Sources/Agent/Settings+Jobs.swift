import Configuration
import UpdateCore

// Converts the settings to the policy of the core and to jobs of the workers.

extension Settings {
    func policy(devKey: String) -> Policy {
        Policy(
            schedule: poll, urlKey: device.urlKey, devModelKey: device.devModelKey, devKey: devKey,
            appointVersionCode: device.appointVersionCode,
            canVerify: verification.mode != .minisign || !verification.keys.isEmpty,
            downloadBeforeConsent: download.beforeConsent, maximumAttempts: install.attempts,
            retryDelay: install.retryDelay, windows: install.windows, gracePeriod: install.gracePeriod,
            inhibitLimit: install.inhibitLimit, maximumDeferrals: install.deferrals, reboot: install.reboot,
            rebootTimeout: install.rebootTimeout, windowLimit: install.windowLimit,
            missedWindows: install.missedWindows, idleTime: install.idleTime)
    }

    func checkJob(
        _ checkRequest: CheckRequest, _ credentials: Credentials, _ clock: ServerClock?, inbox: String
    ) -> CheckJob {
        CheckJob(server: server, credentials: credentials, checkRequest: checkRequest, serverClock: clock, inbox: inbox)
    }

    func reportJob(
        _ report: Report, _ credentials: Credentials, _ clock: ServerClock?, devKey: String
    ) -> ReportJob {
        ReportJob(
            server: server, credentials: credentials, serverClock: clock, urlKey: device.urlKey,
            devModelKey: device.devModelKey, devKey: devKey, report: report)
    }

    func downloadJob(_ offer: Offer, speedLimit: ByteCount?) -> DownloadJob {
        DownloadJob(
            offer: offer, devModelKey: device.devModelKey, connection: server, directory: download.directory,
            speedLimit: speedLimit ?? download.speedLimit, sizeLimit: download.sizeLimit, keepFree: download.keepFree,
            lowSpeed: download.lowSpeed, lowSpeedTime: download.lowSpeedTime, verification: verification,
            priority: download.priority)
    }

    func adoptJob(_ file: LocalFile) -> AdoptJob {
        AdoptJob(
            name: file.name, path: file.path, urlKey: device.urlKey, devModelKey: device.devModelKey,
            directory: download.directory,
            sizeLimit: download.sizeLimit, keepFree: download.keepFree, verification: verification)
    }

    /// In seconds. The worker may sign a request again, and send it a second time.
    var requestTimeLimit: Seconds { 2 * (server.connectTimeout + server.requestTimeout) + 10 }

    /// In seconds; longer than all states of a module and the health check together.
    var installTimeLimit: Seconds {
        12 * max(install.timeout, install.timeouts.values.max() ?? 0) + install.healthTimeout + 600
    }
}
