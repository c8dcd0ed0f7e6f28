import UpdateCore

/// A property of the interface `org.upgradelink.Agent1`, with its description.
enum BusProperty: String, CaseIterable {
    case state = "State"
    case statusText = "StatusText"
    case installedVersion = "InstalledVersion"
    case offer = "Offer"
    case progress = "Progress"
    case nextCheck = "NextCheck"
    case lastCheck = "LastCheck"
    case lastError = "LastError"
    case lastErrorCode = "LastErrorCode"
    case deadline = "Deadline"
    case deferralsLeft = "DeferralsLeft"
    case speedLimit = "SpeedLimit"
    case inhibitors = "Inhibitors"
    case warnings = "Warnings"
    case installsAtBoot = "InstallsAtBoot"
    case refusedVersions = "RefusedVersions"

    /// A time that is computed from another clock: small differences are no change.
    var isComputedTime: Bool { self == .nextCheck || self == .deadline }

    var description: BusPropertyDescription {
        switch self {
        case .state:
            BusPropertyDescription(
                type: "s",
                summary:
                    "The state in one word: idle, checking, downloading, consent (the user is asked), ready (delayed by a window, an inhibitor or the grace period), installing, restart (the device must reboot), waiting (for another try) or error."
            )
        case .statusText: BusPropertyDescription(type: "s", summary: "The state in one line for people.")
        case .installedVersion:
            BusPropertyDescription(
                type: "(ts)", summary: "The installed versionCode and versionName.",
                none: "The code is 0 if the version is unknown, and the name is empty if the device has none.")
        case .offer:
            BusPropertyDescription(
                type: "a{sv}", summary: "The version that is offered, downloaded or installed.",
                none: "Empty if there is none.", fields: Offer.busFields)
        case .progress:
            BusPropertyDescription(
                type: "(ttt)",
                summary: "The running download: bytes received, bytes in total, and bytes per second.",
                none: "All are 0 if nothing is downloaded; the total is 0 if it is not known.")
        case .nextCheck:
            BusPropertyDescription(
                type: "t", summary: "The time of the next update check, in seconds since 1970.",
                none: "0 while a check runs.")
        case .lastCheck:
            BusPropertyDescription(
                type: "t", summary: "The time of the last successful update check, in seconds since 1970.",
                none: "0 if there was none.")
        case .lastError:
            BusPropertyDescription(
                type: "s",
                summary:
                    "The last error, in one line for people. An error of the agent itself, such as a configuration that it could not reload, comes before that of an update check.",
                none: "Empty after a success.")
        case .lastErrorCode:
            BusPropertyDescription(
                type: "s", summary: "The reason code of LastError.", none: "Empty if LastError is.")
        case .deadline:
            BusPropertyDescription(
                type: "t", summary: "When a forced version is installed, in seconds since 1970.",
                none: "0 if there is no deadline.")
        case .deferralsLeft:
            BusPropertyDescription(
                type: "u", summary: "How often the offered version can still be deferred.",
                none: "0 if it cannot, or if nothing is offered.")
        case .speedLimit:
            BusPropertyDescription(
                type: "t", summary: "The speed limit of downloads, in bytes per second.", none: "0 for no limit.")
        case .inhibitors:
            BusPropertyDescription(
                type: "aa{sv}", summary: "The active inhibitors.", none: "Empty if there is none.",
                fields: Inhibitor.busFields)
        case .warnings:
            BusPropertyDescription(
                type: "as",
                summary: "A line for each lasting problem that needs the operator, with its remedy.",
                none: "Empty if there is none.")
        case .installsAtBoot:
            BusPropertyDescription(
                type: "b",
                summary:
                    "Whether an overdue version is installed right after this boot, before the user interface starts.",
                none: "False otherwise.")
        case .refusedVersions:
            BusPropertyDescription(
                type: "aa{sv}",
                summary:
                    "The versions above the installed one that are not installed before Retry is called: the user rejected them, or they failed too often.",
                none: "Empty if there is none.", fields: RefusedVersion.busFields)
        }
    }
}

/// A signal of the interface `org.upgradelink.Agent1`, with its description.
enum BusSignal: String, CaseIterable {
    case consentRequested = "ConsentRequested"
    case installPending = "InstallPending"
    case finished = "Finished"

    var description: BusSignalDescription {
        switch self {
        case .consentRequested:
            BusSignalDescription(
                summary:
                    "The offered version needs the user's consent: call Accept, Defer or Reject. A program that starts later finds State consent and the Offer.",
                arguments: [
                    .offered, .offeredName,
                    BusArgument("text", "s", "The publisher's text, in any language, without control characters."),
                ])
        case .installPending:
            BusSignalDescription(
                summary: "A forced version will be installed. The user cannot decline it.",
                arguments: [
                    .offered, .offeredName,
                    BusArgument("deadline", "t", "When it is installed, in seconds since 1970."),
                ])
        case .finished:
            BusSignalDescription(
                summary: "The outcome of an offer, or of one attempt to install it.",
                arguments: [
                    .offered, .offeredName,
                    BusArgument("result", "s", "The result, as in History."),
                    BusArgument("reason", "s", "The reason for people. Empty for an installed version."),
                    BusArgument("reasonCode", "s", "The reason for programs. Empty for an installed version."),
                ])
        }
    }
}
