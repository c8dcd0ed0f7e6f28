import Glibc
import UpdateCore

/// Decides which users may send requests: root, the user of this process, and the agent's user. This repeats the permissions
/// of the installer socket, in case those are wrong.
enum PeerCredentials {
    private static let agentUser = "upgradelinkd"

    static func mayRequest(_ user: uid_t) -> Bool {
        user == 0 || user == geteuid() || getpwnam(agentUser)?.pointee.pw_uid == user
    }
}

extension InstallResult {
    /// The line for the journal.
    var line: String {
        switch self {
        case .committed: "The installation is committed"
        case .rolledBack(let reason, _): "The installation was rolled back: \(reason)"
        case .failed(let reason, _): "The installation failed: \(reason)"
        case .refused(let reason, _): "The installation was refused: \(reason)"
        case .interrupted(let reason, _): "The installation was interrupted, and nothing is counted: \(reason)"
        case .artifactLost(let reason): "The artifact is lost: \(reason)"
        case .noSpace(let reason): "Not enough disk space for the installation: \(reason)"
        case .needsReboot: "The device must reboot to continue; the agent decides when"
        case .rebooting: "The device reboots, to roll back to the previous version"
        case .rebootRefused(let reason): "The device cannot be rebooted: \(reason); trying again in 1 min"
        case .unknown: "Nothing was begun; the agent requests it again"
        case .lost(let reason): "The installation is lost: \(reason)"
        }
    }
}
