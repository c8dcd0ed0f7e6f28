import Host
import UpdateCore

/// The states in which these modules do something.
enum ModuleState {
    case install, verifyReboot, rollback, verifyRollbackReboot, commit, cleanup
    case other

    /// - Parameter name: as the protocol names the state. A module ignores states that it does not know.
    init(_ name: String) {
        switch name {
        case "ArtifactInstall": self = .install
        case "ArtifactVerifyReboot": self = .verifyReboot
        case "ArtifactRollback": self = .rollback
        case "ArtifactVerifyRollbackReboot": self = .verifyRollbackReboot
        case "ArtifactCommit": self = .commit
        case "Cleanup": self = .cleanup
        default: self = .other
        }
    }
}

/// An update module. Power can fail between any two of its actions; any state can then come again, or ArtifactRollback.
protocol Module {
    static var name: String { get }
    /// The responses to the queries of the protocol.
    static var needsReboot: String { get }
    static var supportsRollback: String { get }

    init(_ tree: ModuleTree)
    func enter(_ state: ModuleState) throws
    /// The disk space that ArtifactInstall needs in addition to the artifact.
    func spaceNeeds() throws -> [SpaceNeed]
}

extension Module {
    /// Does something that the state can do without: an error becomes a line of the journal.
    static func attempt(_ action: () throws -> Void) {
        do {
            try action()
        } catch {
            Environment.printError("\(name): \(error)")
        }
    }
}

/// Why a state was not reached, and what to do: the last line that the module writes to standard error.
struct ModuleError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
