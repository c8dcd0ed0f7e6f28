import Host
import UpdateCore

/// The agent's unit, which the operator may stop, disable or mask at any time.
enum AgentUnit {
    static let name = "upgradelinkd.service"
    static let stopped =
        "\(name) was stopped: the health check continues when it is started again, or after the next boot"

    /// Where `systemctl enable` creates the unit's link, and `systemctl disable` removes it.
    private static let links = "/etc/systemd/system/multi-user.target.wants"

    static var isEnabled: Bool { Files.isLink("\(links)/\(name)") }

    /// How the agent may be absent without a fault of the version.
    struct Permission: OptionSet, Hashable, Sendable {
        let rawValue: Int
        static let disabled = Permission(rawValue: 1)
        static let masked = Permission(rawValue: 2)
    }

    /// What was changed by hand since this moment. The directory and the link of another file system, which came with the new version,
    /// are older. Without a clock, nothing is known.
    ///
    /// - Parameter root: the device's root directory.
    static func changes(since moment: WallTime, root: String = "") -> Permission {
        guard moment >= Clock.buildTime else { return [] }
        var changes: Permission = []
        if let time = Files.modificationTime(root + links), time >= moment { changes.insert(.disabled) }
        let mask = Files.linkModificationTime("\(root)/etc/systemd/system/\(name)")
        if Files.isLink("\(root)/run/systemd/system/\(name)") || mask.map({ $0 >= moment }) == true {
            changes.insert(.masked)
        }
        return changes
    }
}
