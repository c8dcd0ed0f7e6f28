/// A reason for programs: a short word that never changes, next to each reason for people. Clients must expect further words.
///
/// The raw values are on D-Bus, in the journal and in stored files.
public enum ReasonCode: String, CaseIterable, Hashable, Sendable {
    // The agent itself.
    case configurationInvalid = "configuration-invalid"
    case stateNotStored = "state-not-stored"

    // The server.
    case rateLimited = "rate-limited"
    case serverError = "server-error"
    case serverUnreachable = "server-unreachable"
    case connectionUntrusted = "connection-untrusted"
    case clockWrong = "clock-wrong"
    case replyInvalid = "reply-invalid"
    case workerFailed = "worker-failed"
    case credentialsRefused = "credentials-refused"
    case applicationUnknown = "application-unknown"
    case requestRefused = "request-refused"
    case versionUnknown = "version-unknown"

    // The offer.
    case offerForeign = "offer-foreign"
    case offerInvalid = "offer-invalid"
    case notNewer = "not-newer"
    case alreadyInstalled = "already-installed"
    case abovePin = "above-pin"
    case blocked = "blocked"
    case rejected = "rejected"
    case replaced = "replaced"

    // The file.
    case fileMissing = "file-missing"
    case fileUnavailable = "file-unavailable"
    case fileTooLarge = "file-too-large"
    case fileLost = "file-lost"
    case contentUnexpected = "content-unexpected"
    case diskFull = "disk-full"
    case noKeys = "no-keys"
    case keyUntrusted = "key-untrusted"
    case signatureInvalid = "signature-invalid"
    case signatureMismatch = "signature-mismatch"
    case digestMismatch = "digest-mismatch"
    case verificationMisconfigured = "verification-misconfigured"

    // The installation.
    case belowFloor = "below-floor"
    case jobInvalid = "job-invalid"
    case preparationFailed = "preparation-failed"
    case moduleFailed = "module-failed"
    case moduleBusy = "module-busy"
    case unitsFailed = "units-failed"
    case versionMismatch = "version-mismatch"
    case healthCheckFailed = "health-check-failed"
    case rebootFailed = "reboot-failed"
    case rebootRefused = "reboot-refused"
    case rebootMissing = "reboot-missing"
    case cancelled = "cancelled"
    case interrupted = "interrupted"
    case stopped = "stopped"
    case recordLost = "record-lost"
    case installerLost = "installer-lost"
    case installerRefused = "installer-refused"
    case installationFailed = "installation-failed"

    case unknown = "unknown"

    /// What the word means, as a sentence for the manual.
    public var summary: String {
        switch self {
        case .configurationInvalid: "The configuration could not be reloaded: the old one stays effective."
        case .stateNotStored: "The agent cannot store its state: what happens waits until it can."
        case .rateLimited: "The server throttles requests (HTTP 429)."
        case .serverError: "The server responded with an error of its own, such as HTTP 500 or 503."
        case .serverUnreachable: "There is no connection to the server: network, name resolution, proxy or a timeout."
        case .connectionUntrusted: "The server's certificate, or the TLS connection, is not trusted."
        case .clockWrong: "The device's clock explains why the server's certificate was refused."
        case .replyInvalid: "The reply does not follow the server's API: often a captive portal or a filter."
        case .workerFailed: "The fetch worker itself failed."
        case .credentialsRefused: "The server refuses the access key or the signature of the request (HTTP 401)."
        case .applicationUnknown: "The server does not know the application or the path (HTTP 404)."
        case .requestRefused: "The server refuses the request for another reason that the operator must remove."
        case .versionUnknown: "The device's installed version cannot be read."
        case .offerForeign: "The offer is for another urlKey."
        case .offerInvalid: "The offer has an unusable version or address."
        case .notNewer: "The offered version is not above the installed one."
        case .alreadyInstalled: "The offered version is installed already."
        case .abovePin: "The offered version is above device.appointVersionCode."
        case .blocked: "The version failed too often, and is blocked."
        case .rejected: "The user rejected the version."
        case .replaced: "Another version took the place of this one."
        case .fileMissing: "The file or its signature is not on the server (HTTP 404 or 410)."
        case .fileUnavailable: "The file or its signature cannot be downloaded now."
        case .fileTooLarge: "The file is longer than download.sizeLimit."
        case .fileLost: "The file that was downloaded, or given, is no longer there."
        case .contentUnexpected:
            "A web page, a compressed or an empty response came instead of the file or its signature."
        case .diskFull: "There is not enough disk space, or the disk cannot be written."
        case .noKeys: "There is no key to verify a file with."
        case .keyUntrusted: "The file is signed by a key that is not among the trusted keys."
        case .signatureInvalid: "The file or its signature is not what was signed."
        case .signatureMismatch: "The signature is for another version, application or device model."
        case .digestMismatch: "The file does not have the published SHA-256 digest."
        case .verificationMisconfigured:
            "The configured verification is impossible: a malformed key or address, or no https."
        case .belowFloor: "The version is below the lowest one that the installer accepts."
        case .jobInvalid: "The installer refuses the request itself."
        case .preparationFailed: "The installation could not be prepared: the module or the configuration is wrong."
        case .moduleFailed: "The update module failed in one of its states."
        case .moduleBusy: "The update module cannot work now, because of a lock for example."
        case .unitsFailed: "The units that use the new version could not be restarted."
        case .versionMismatch: "The device does not report the version that was installed."
        case .healthCheckFailed: "The device is not healthy after the installation."
        case .rebootFailed: "The update module could not reboot the device, or the reboot did not lead where it should."
        case .rebootRefused: "The reboot is refused, by an inhibitor of logind for example."
        case .rebootMissing: "No reboot came after it was requested."
        case .cancelled: "The user cancelled it."
        case .interrupted: "A power cut or a crash interrupted the installation."
        case .stopped: "The device was shut down, or the installer was told to stop."
        case .recordLost: "The record of the installation could not be read, so it was rolled back."
        case .installerLost: "The installer ended without a result, or could not be reached."
        case .installerRefused: "The installer refused the file; it is of another version, and did not say why."
        case .installationFailed: "The installation failed; the installer is of another version, and did not say why."
        case .unknown: "Another version of upgradelinkd stored or sent the reason."
        }
    }
}

extension ReasonCode: Codable {
    /// A word that only another version knows is ``unknown``: it must not make the rest unreadable.
    public init(from decoder: any Decoder) throws {
        self = Self(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
    }
}

/// A reason for people, in one line, and for programs.
public struct Reason: Codable, Hashable, Sendable {
    public var text: String
    public var code: ReasonCode

    public init(_ text: String, _ code: ReasonCode) {
        self.text = text
        self.code = code
    }
}

extension TransientError {
    public var code: ReasonCode {
        switch self {
        case .rateLimited: .rateLimited
        case .server: .serverError
        case .network: .serverUnreachable
        case .tls: .connectionUntrusted
        case .unreadable: .replyInvalid
        case .worker: .workerFailed
        case .file(_, _, let code): code ?? .fileUnavailable
        }
    }

    var reason: Reason { Reason(line, code) }
}

extension Misconfiguration {
    public var reasonCode: ReasonCode {
        switch status {
        case 401: .credentialsRefused
        case 404: .applicationUnknown
        default: .requestRefused
        }
    }
}

extension OfferRefusal {
    public var reasonCode: ReasonCode {
        switch self {
        case .foreignUrlKey: .offerForeign
        case .invalidVersionCode, .unusableURL: .offerInvalid
        case .notNewer: .notNewer
        case .alreadyInstalled: .alreadyInstalled
        case .abovePin: .abovePin
        case .blocked: .blocked
        case .rejected: .rejected
        }
    }

    var reason: Reason { Reason("\(self)", reasonCode) }
}

extension Work.RetryReason {
    public var code: ReasonCode {
        switch self {
        case .transientError(let error): error.code
        case .noSpace: .diskFull
        case .noKeys: .noKeys
        case .failed: .installationFailed
        case .cancelled: .cancelled
        case .installerLost: .installerLost
        case .rebootRefused: .rebootRefused
        case .interrupted: .interrupted
        }
    }
}

extension Notice {
    /// The journal's field UPGRADELINK_REASON; nil if the event has no reason.
    public var reasonCode: ReasonCode? {
        switch self {
        case .offerRefused(let refusal), .offerDropped(_, let refusal): refusal.reasonCode
        case .offerReplaced: .replaced
        case .misconfigured(let reason, _), .rolledBack(_, let reason), .attemptFailed(_, let reason, _, _, _),
            .blocked(_, let reason, _), .reportDropped(_, let reason, _):
            reason.code
        case .failing(let error, _): error.code
        case .clockWrong, .clockExplainsTLS: .clockWrong
        case .postponed(_, _, let code, _): code
        case .gone: .fileMissing
        case .noKeys: .noKeys
        case .artifactLost: .fileLost
        case .cancelled, .cancelling: .cancelled
        case .rejected: .rejected
        case .upToDate, .offered, .offerRefreshed, .unknownUpgradeType, .clockSet, .verified, .consentWanted,
            .consentGiven,
            .deferred, .notRolledBack, .delayed, .installing, .rebooting, .committed, .resumed, .ignored:
            nil
        }
    }
}
