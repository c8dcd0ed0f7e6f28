// The messages between the agent and the installer: requests, messages on the installer socket, and reports.

/// Identifies an installation. The installer never runs an id twice, even if the agent repeats the request.
public typealias InstallID = Int64

/// An installation of a staged artifact.
public struct StagedInstallJob: Codable, Hashable, Sendable {
    public var id: InstallID
    public var offer: Offer
    public var artifact: Artifact

    public init(id: InstallID, offer: Offer, artifact: Artifact) {
        self.id = id
        self.offer = offer
        self.artifact = artifact
    }
}

/// A request of the agent to the installer.
public enum InstallRequest: Hashable, Sendable {
    case install(StagedInstallJob)
    /// Resume an installation that has begun, or report its result.
    case resume(InstallID)
    /// Reboot the device for an installation or a rollback.
    case reboot(InstallID)
    /// End an installation that waits for its reboot: roll back.
    case cancel(InstallID)
    /// Reset the counts of failures and reboots for this version, because the operator wants to try it again.
    case forgetAttempts(versionCode: Int)
    /// What disk space an installation would need.
    case space
}

/// A longer signature or digest file is refused.
public let maximumSidecarBytes = 16 * 1024

/// An installation as it is sent through the installer socket. The artifact itself is passed with it as an open file.
public struct InstallJob: Codable, Hashable, Sendable {
    public var id: InstallID
    public var offer: Offer
    /// The content of the artifact's signature or digest file, if the verification mode has one.
    public var sidecar: String?

    /// The id of an installation whose record was lost. The agent never chooses it.
    public static let unknownID: InstallID = 0

    public init(id: InstallID, offer: Offer, sidecar: String?) {
        self.id = id
        self.offer = offer
        self.sidecar = sidecar
    }
}

/// An ``InstallRequest`` as it is sent through the installer socket.
public enum InstallMessage: Codable, Hashable, Sendable {
    case install(InstallJob)
    case resume(InstallID)
    case reboot(InstallID)
    case cancel(InstallID)
    case forgetAttempts(versionCode: Int)
    /// What disk space an installation would need: answered with ``InstallReport/space(_:)``.
    case space

    private enum CodingKeys: String, CodingKey {
        case install, resume, cancel, forgetAttempts, space
        // As 0.1.0 named it: agent and installer may be of different versions while a package is installed.
        case reboot = "restart"
    }
}

/// The codes are those of the reasons; nil from an installer of 0.1.0, which sent none.
public enum InstallResult: Codable, Hashable, Sendable {
    case committed
    /// The device runs the previous version again.
    case rolledBack(String, code: ReasonCode? = nil)
    /// The module failed and has no rollback, or its rollback failed too.
    case failed(String, code: ReasonCode? = nil)
    /// The installation did not begin: the artifact or the configuration does not allow it.
    case refused(String, code: ReasonCode? = nil)
    /// The installation did not begin: the disk is full, or the artifact cannot be written to it.
    case noSpace(String)
    /// The installation ended for a reason that is not the version's fault: the user cancelled it, the device was shut down, or
    /// another program held a lock. The device runs the previous version, and nothing is counted.
    case interrupted(String, code: ReasonCode? = nil)
    /// The staged artifact is no longer there, so the installation did not begin.
    case artifactLost(String)
    /// The device must reboot to continue the installation or the rollback; the agent decides when.
    case needsReboot(isRollback: Bool)
    /// The reboot has been requested.
    case rebooting
    /// The reboot was refused, for example by an inhibitor of logind.
    case rebootRefused(String)
    /// The installer has no record of this id: the installation never began.
    case unknown
    /// The installer itself ended without a result.
    case lost(String)

    private enum CodingKeys: String, CodingKey {
        case committed, rolledBack, failed, refused, noSpace, interrupted, artifactLost, unknown, lost
        // As 0.1.0 named them.
        case needsReboot = "needsRestart"
        case rebooting = "restarting"
        case rebootRefused = "restartRefused"
    }
}

public enum InstallReport: Codable, Hashable, Sendable {
    case state(String)
    case output(String)
    case space([SpaceNeed])
    case finished(InstallResult)
}
