/// The states of Mender's update module protocol, version 3. The raw value is the argument that the module is called with.
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

    /// Whether exit status 75 is no failure: the installation ends without a count, or the rollback is tried again.
    var canBePostponed: Bool {
        switch self {
        case .download, .install, .reboot, .verifyReboot, .commit, .rollback, .rollbackReboot: true
        case .cleanup, .verifyRollbackReboot, .failure: false
        }
    }
}

/// What a module prints for `NeedsArtifactReboot`.
public enum RebootNeed: String, Codable, Sendable {
    case no = "No"
    /// The module reboots the device, or restarts a process, itself in `ArtifactReboot`.
    case yes = "Yes"
    /// The installer reboots the device when the agent requests it.
    case automatic = "Automatic"
}
