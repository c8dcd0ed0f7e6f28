/// Something to be done once the state has been stored.
public enum Effect: Codable, Hashable, Sendable {
    case ask(Question)
    case download(Offer)
    case stopDownload
    case install(InstallOrder)
    case resumeInstall(InstallID)
    /// Restart the box for an installation that wants it.
    case restart(InstallID)
    /// The installer's own count of failures of this version is to be reset.
    case forgetAttempts(versionCode: Int)
    case send(id: Int, Report)
    /// The stored state holds this version now, or a newer one: the inbox may be emptied, unless it has a newer one still.
    case emptyInbox(upTo: Int)
    /// Staging holds nothing that is needed but the named version.
    case cleanStaging(keep: Int?)
    case announce(Announcement)
    case log(Notice)
}

/// What the people in front of the box, or a program that speaks to them, must hear of.
public enum Announcement: Codable, Hashable, Sendable {
    case consentWanted(Offer)
    case installPending(Offer, deadline: BootInstant)
    case finished(Attempt)
}
