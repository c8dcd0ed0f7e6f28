import Glibc
import UpdateCore

/// Who may ask: root, whoever this program runs as, and the agent's own user. The socket's permissions say the same; this
/// is for the day on which they do not.
enum Door {
    private static let agentUser = "upgradelinkd"

    static func admits(_ user: uid_t) -> Bool {
        user == 0 || user == geteuid() || getpwnam(agentUser)?.pointee.pw_uid == user
    }
}

extension InstallResult {
    /// For the journal.
    var line: String {
        switch self {
        case .committed: "The installation is committed"
        case .rolledBack(let reason): "The installation was rolled back: \(reason)"
        case .failed(let reason): "The installation failed: \(reason)"
        case .refused(let reason): "The installation was refused: \(reason)"
        case .noSpace(let reason): "There is no room for the installation: \(reason)"
        case .needsRestart: "The box must restart to go on; the agent says when"
        case .restarting: "The box restarts, to get back to the version before"
        case .restartRefused(let reason): "The box cannot be restarted: \(reason); trying again in 1 min"
        case .unknown: "Nothing had been begun; the agent orders anew"
        case .lost(let reason): "The installation is lost: \(reason)"
        }
    }
}
