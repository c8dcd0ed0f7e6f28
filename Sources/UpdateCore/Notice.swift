/// An event that matters to the operator: one log entry.
public enum Notice: Codable, Hashable, Sendable {
    case upToDate(InstalledVersion)
    case offered(Offer)
    case offerRefused(OfferRefusal)
    case offerReplaced(Offer, by: Offer)
    case offerDropped(Offer, OfferRefusal)
    case offerRefreshed(Offer)
    case unknownUpgradeType(Offer)
    case misconfigured(Reason, retryIn: Seconds)
    case failing(TransientError, retryIn: Seconds)
    case clockWrong(server: WallTime?)
    case clockExplainsTLS(String)
    case clockSet
    case postponed(Offer, Work.RetryReason, ReasonCode, retryIn: Seconds)
    case verified(Offer, bytes: ByteCount)
    case gone(Offer, String)
    case noKeys(Offer)
    case consentWanted(Offer)
    case consentGiven(Offer)
    case deferred(Offer, by: Seconds, left: Int)
    case cancelled(Offer)
    case cancelling(Offer)
    case notRolledBack(Offer)
    case artifactLost(Offer, String)
    case delayed(Offer, String)
    case rejected(Offer)
    case installing(Offer)
    case rebooting(Offer)
    case committed(Offer)
    case rolledBack(Offer, Reason)
    case attemptFailed(Offer, Reason, attempt: Int, of: Int, retryIn: Seconds)
    case blocked(Offer, Reason, attempts: Int)
    case reportDropped(Report, Reason, tries: Int)
    case resumed(Offer, String)
    case ignored(String)
}

extension Notice {
    public enum Level: String, Sendable { case debug, info, notice, warning, error }

    public var level: Level {
        switch self {
        case .ignored, .offerRefreshed: .debug
        case .upToDate, .clockSet, .consentGiven, .delayed, .resumed, .reportDropped: .info
        case .offered, .offerReplaced, .offerDropped, .deferred, .cancelled, .cancelling, .verified, .consentWanted,
            .rejected,
            .installing, .rebooting,
            .committed:
            .notice
        case .offerRefused, .unknownUpgradeType, .failing, .clockWrong, .clockExplainsTLS, .postponed, .gone,
            .artifactLost, .rolledBack, .notRolledBack, .attemptFailed:
            .warning
        case .misconfigured, .noKeys, .blocked: .error
        }
    }

    public var message: String {
        switch self {
        case .upToDate(let installed): "Up to date (\(installed.title))"
        case .offered(let offer): "Offered \(offer.title), \(offer.upgradeType.name)"
        case .offerRefused(let refusal): "Offer refused: \(refusal)"
        case .offerReplaced(let old, let new): "\(new.title) replaces \(old.title), which was still waiting"
        case .offerDropped(let offer, let refusal): "The offer of \(offer.title) is dropped: \(refusal)"
        case .offerRefreshed(let offer): "The offer of \(offer.title) was refreshed"
        case .unknownUpgradeType(let offer):
            "The upgradeType of \(offer.title) is \(offer.upgradeType.name): treated as prompt"
        case .misconfigured(let reason, let delay): "\(reason.text.capitalizedFirst); next try in \(describe(delay))"
        case .failing(let error, let delay): "\(error.line.capitalizedFirst); next try in \(describe(delay))"
        case .clockWrong(let server):
            "This device's clock is wrong; requests are signed with the server's time"
                + (server.map { " (\($0.wholeSeconds) s since 1970)" } ?? "")
        case .clockExplainsTLS(let line):
            "\(line.capitalizedFirst); checking again as soon as the clock is set"
        case .clockSet: "The clock has been set"
        case .postponed(let offer, let why, _, let delay):
            "\(offer.title) has to wait: \(why.line); next try in \(describe(delay))"
        case .verified(let offer, let bytes): "\(offer.title) is downloaded and verified (\(describe(bytes: bytes)))"
        case .gone(let offer, let reason): "\(offer.title) is not available: \(reason)"
        case .noKeys(let offer): "\(offer.title) is not downloaded: \(Work.RetryReason.noKeys.line)"
        case .consentWanted(let offer): "\(offer.title) waits for consent"
        case .consentGiven(let offer): "Consent to \(offer.title)"
        case .deferred(let offer, let delay, let left):
            "\(offer.title) is deferred for \(describe(delay)); \(left) deferrals are left"
        case .cancelled(let offer): "\(offer.title) was cancelled"
        case .cancelling(let offer): "\(offer.title) is rolled back, because it was cancelled"
        case .notRolledBack(let offer):
            "\(offer.title) cannot be cancelled: its module has no rollback, so its installation continues"
        case .artifactLost(let offer, let reason):
            "\(offer.title) is downloaded again, because its file is lost: \(reason)"
        case .delayed(let offer, let line): "\(offer.title) waits: \(line)"
        case .rejected(let offer): "\(offer.title) was rejected"
        case .installing(let offer): "Installing \(offer.title)" + (offer.upgradeType == .forced ? ", forced" : "")
        case .rebooting(let offer): "Rebooting to finish \(offer.title)"
        case .committed(let offer): "Installed \(offer.title)"
        case .rolledBack(let offer, let reason): "\(offer.title) was rolled back: \(reason.text)"
        case .attemptFailed(let offer, let reason, let attempt, let maximum, let delay):
            "Attempt \(attempt) of \(maximum) at \(offer.title) failed: \(reason.text); next try in \(describe(delay))"
        case .blocked(let offer, let reason, let attempts):
            "\(offer.title) is blocked after \(counted(attempts, "failure")): \(reason.text)"
        case .reportDropped(let report, let reason, let tries):
            "A report (\(report.eventType)) is dropped after \(counted(tries, "try", "tries")): \(reason.text)"
        case .resumed(let offer, let what): "Resuming \(offer.title): \(what)"
        case .ignored(let what): "Ignored \(what)"
        }
    }

    /// The journal's MESSAGE_ID, or nil. It never changes, so that tools can match on it.
    public var messageID: String? {
        switch self {
        case .upToDate: "996b6c36b5ee4c34815084be2591ba57"
        case .offered, .offerReplaced: "bc7c6c797b9844ee81f99f4fe9bcd686"
        case .offerRefused, .offerDropped: "92cb9a59932e44dfb3f1183aa11dcbe3"
        case .misconfigured: "893c765cd63749b9b4ec6ef49f068650"
        case .failing, .postponed: "3fab9af2f9574f2cb444644a0bc58d4b"
        case .clockWrong, .clockExplainsTLS: "2b5aae8791fa470ca096a0b37c95c555"
        case .verified: "0e3dec71c8cc4f349a38f10e5b46ce4e"
        case .gone: "436dd77908cf43c59be4877182ff086a"
        case .noKeys: "6b154b14260945c5bb204e003993a847"
        case .consentWanted: "b0e0f54b6d06410abc8119ee3aa44f47"
        case .installing: "8afeddfb6ee44fd19119a1b94b9f0650"
        case .rebooting: "40de283e01374d63a9ccbe919a869493"
        case .committed: "1057c47a1d814e3792314eced6c864b0"
        case .rolledBack: "ae22fd16a9c9491db015be64ab343fcf"
        case .attemptFailed: "60440d37ec29494dae0f8fca0b5a0a4e"
        case .blocked: "b1e28e04798e4965bac7896fcc91cba0"
        case .offerRefreshed, .unknownUpgradeType, .clockSet, .consentGiven, .deferred, .cancelled, .cancelling,
            .notRolledBack, .artifactLost, .delayed, .rejected,
            .reportDropped, .resumed,
            .ignored:
            nil
        }
    }

    public var offer: Offer? {
        switch self {
        case .offered(let offer), .offerRefreshed(let offer), .unknownUpgradeType(let offer),
            .postponed(let offer, _, _, _), .verified(let offer, _), .gone(let offer, _), .noKeys(let offer),
            .consentWanted(let offer), .consentGiven(let offer), .rejected(let offer), .installing(let offer),
            .rebooting(let offer), .committed(let offer), .rolledBack(let offer, _),
            .attemptFailed(let offer, _, _, _, _), .blocked(let offer, _, _), .resumed(let offer, _),
            .offerReplaced(_, by: let offer), .offerDropped(let offer, _), .deferred(let offer, _, _),
            .cancelled(let offer), .cancelling(let offer), .notRolledBack(let offer), .artifactLost(let offer, _),
            .delayed(let offer, _):
            offer
        case .upToDate, .offerRefused, .misconfigured, .failing, .clockWrong, .clockExplainsTLS, .clockSet,
            .reportDropped, .ignored:
            nil
        }
    }
}

extension Report {
    public var eventType: String {
        switch kind {
        case .appStart: "app_start"
        case .download: "app_upgrade_download"
        case .upgrade: "app_upgrade_upgrade"
        }
    }
}

extension String {
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
