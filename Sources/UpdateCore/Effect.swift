/// An action that the agent carries out after it has stored the state.
public enum Effect: Codable, Hashable, Sendable {
    case check(CheckRequest)
    case download(Offer)
    case stopDownload
    case install(StagedInstallJob)
    case resumeInstall(InstallID)
    /// Reboot the device for an installation or a rollback.
    case reboot(InstallID)
    /// Roll back an installation that waits for its reboot.
    case cancelInstall(InstallID)
    /// Reset the installer's own failure counts for this version.
    case forgetAttempts(versionCode: Int)
    case send(id: Int, Report)
    /// Remove the offer from the inbox, unless it is newer than this version: the stored state has it, or a newer one.
    case emptyInbox(upTo: Int)
    /// Remove the staged files of all versions except this one.
    case cleanStaging(keep: Int?)
    case announce(Announcement)
    case log(Notice)
}

/// An event for user interfaces.
public enum Announcement: Codable, Hashable, Sendable {
    case consentWanted(Offer)
    case installPending(Offer, deadline: BootInstant)
    case finished(Attempt)
}
