// The messages between the agent and the installer: what is wanted, what goes through the door, and what comes back.

/// Which installation is meant: the same id never installs twice, whatever is asked again.
public typealias InstallID = Int

public struct InstallOrder: Codable, Hashable, Sendable {
    public var id: InstallID
    public var offer: Offer
    public var artifact: Artifact

    public init(id: InstallID, offer: Offer, artifact: Artifact) {
        self.id = id
        self.offer = offer
        self.artifact = artifact
    }
}

/// What the agent wants of the installer.
public enum InstallRequest: Hashable, Sendable {
    case install(InstallOrder)
    /// Go on with, or tell the end of, an installation that was begun.
    case resume(InstallID)
    /// Restart the box for an installation that wants it.
    case restart(InstallID)
    /// The operator wants this version tried again: how often it failed does not count any more.
    case forgetAttempts(versionCode: Int)
}

/// Signatures and digest files are short; longer ones are none.
public let maximumSidecarBytes = 16 * 1024

/// An order as it goes through the door: the artifact itself comes beside it, as an open file.
public struct InstallJob: Codable, Hashable, Sendable {
    public var id: InstallID
    public var offer: Offer
    /// The signature or digest file that came with the artifact, where the mode has one.
    public var sidecar: String?

    /// Of an installation whose record was lost; no agent chooses it.
    public static let unknownID: InstallID = 0

    public init(id: InstallID, offer: Offer, sidecar: String?) {
        self.id = id
        self.offer = offer
        self.sidecar = sidecar
    }
}

/// An ``InstallRequest`` as it goes through the door.
public enum InstallMessage: Codable, Hashable, Sendable {
    case install(InstallJob)
    case resume(InstallID)
    case restart(InstallID)
    case forgetAttempts(versionCode: Int)
}

public enum InstallResult: Codable, Hashable, Sendable {
    case committed
    /// The box runs the version it ran before.
    case rolledBack(String)
    /// The module failed and has no rollback, or its rollback failed too.
    case failed(String)
    /// Nothing was begun: the artifact or the configuration does not allow it.
    case refused(String)
    /// Nothing was begun: the disk has no room for the artifact, or does not take it.
    case noSpace(String)
    /// The box must restart to go on, or to get back to the version before; the agent says when.
    case needsRestart(isRollback: Bool)
    /// The box has been told to restart.
    case restarting
    /// It was not to be told, by logind's inhibitors for example.
    case restartRefused(String)
    /// The installer knows no installation of this id: it never began.
    case unknown
    /// The installer itself ended without a result.
    case lost(String)
}

public enum InstallReport: Codable, Hashable, Sendable {
    case state(String)
    case output(String)
    case finished(InstallResult)
}
