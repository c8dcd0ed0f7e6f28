import Glibc
import Host

/// The user of the agent, and the group of those who control it (sysusers.d(5)).
public enum Accounts {
    private static let name = "accounts"
    public static let controllers = "upgradelink"

    public static var findings: [Finding] {
        let remedy = "systemd-sysusers"
        var problems: [Finding] = []
        if getpwnam(AgentRights.user) == nil {
            problems.append(
                .bad(
                    name, "there is no user \(AgentRights.user), so the agent and the installer socket do not start",
                    remedy))
        }
        if getgrnam(AgentRights.user) == nil {
            problems.append(
                .bad(name, "there is no group \(AgentRights.user), so the agent cannot read its configuration", remedy))
        }
        if getgrnam(controllers) == nil {
            problems.append(
                .warn(name, "there is no group \(controllers), so only root can control the agent", remedy))
        }
        return problems.isEmpty
            ? [.ok(name, "the user \(AgentRights.user) and the group \(controllers) exist")] : problems
    }
}
