/// The states of Mender's update module protocol, version 3, by the names a module is called with.
public enum ModuleState: String, Codable, CaseIterable, Sendable {
    case download = "Download"
    case install = "ArtifactInstall"
    case reboot = "ArtifactReboot"
    case verifyReboot = "ArtifactVerifyReboot"
    case commit = "ArtifactCommit"
    case cleanup = "Cleanup"
    case rollback = "ArtifactRollback"
    case rollbackReboot = "ArtifactRollbackReboot"
    case verifyRollbackReboot = "ArtifactVerifyRollbackReboot"
    case failure = "ArtifactFailure"
}

/// A module's answer to `NeedsArtifactReboot`.
public enum RebootNeed: String, Codable, Sendable {
    case no = "No"
    /// The module restarts something itself, in `ArtifactReboot`.
    case yes = "Yes"
    /// The installer restarts the box.
    case automatic = "Automatic"
}
