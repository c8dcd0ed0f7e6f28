import Configuration
import UpdateCore

// The settings as the core and the workers want them.

extension Settings {
    func policy(devKey: String) -> Policy {
        Policy(
            schedule: poll, urlKey: device.urlKey, devModelKey: device.devModelKey, devKey: devKey,
            appointVersionCode: device.appointVersionCode,
            canVerify: verification.mode != .minisign || !verification.keys.isEmpty,
            downloadBeforeConsent: download.beforeConsent, maximumAttempts: install.attempts,
            retryDelay: install.retryDelay, windows: install.windows, gracePeriod: install.gracePeriod,
            inhibitLimit: install.inhibitLimit, maximumDeferrals: install.deferrals, reboot: install.reboot)
    }

    func askJob(
        _ question: Question, _ credentials: Credentials, _ clock: ServerClock?, inbox: String
    ) -> AskJob {
        AskJob(server: server, credentials: credentials, question: question, serverClock: clock, inbox: inbox)
    }

    func reportJob(
        _ report: Report, _ credentials: Credentials, _ clock: ServerClock?, devKey: String
    ) -> ReportJob {
        ReportJob(
            server: server, credentials: credentials, serverClock: clock, urlKey: device.urlKey,
            devModelKey: device.devModelKey, devKey: devKey, report: report)
    }

    func downloadJob(_ offer: Offer, speedLimit: Int?) -> DownloadJob {
        DownloadJob(
            offer: offer, devModelKey: device.devModelKey, connection: server, folder: download.folder,
            speedLimit: speedLimit ?? download.speedLimit, sizeLimit: download.sizeLimit, keepFree: download.keepFree,
            lowSpeed: download.lowSpeed, lowSpeedTime: download.lowSpeedTime, verification: verification,
            courtesy: download.courtesy)
    }

    func adoptJob(_ file: LocalFile) -> AdoptJob {
        AdoptJob(
            name: file.name, path: file.path, urlKey: device.urlKey, devModelKey: device.devModelKey,
            folder: download.folder,
            sizeLimit: download.sizeLimit, keepFree: download.keepFree, verification: verification)
    }

    /// A request may be signed anew and sent once more.
    var requestTimeLimit: Seconds { 2 * (server.connectTimeout + server.requestTimeout) + 10 }

    /// More than all states of a module together.
    var installTimeLimit: Seconds {
        12 * max(install.timeout, install.timeouts.values.max() ?? 0) + install.healthTimeout + 600
    }
}
