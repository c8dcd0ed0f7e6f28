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

    /// Whether a unit was enabled or disabled since this moment. The directory of another file system, which came with the new
    /// version, is older.
    static func wasChanged(since moment: WallTime) -> Bool {
        Files.modificationTime(links).map { $0 >= moment } ?? false
    }
}
