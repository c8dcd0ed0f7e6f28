import DeviceChecks
import Host
import Systemd
import UpdateCore

/// The checks of `upgradelinkctl doctor` that need no valid configuration.
struct SystemCheckup {
    /// The directory that replaces `/` when the configuration is read. The checks are about this device.
    let root: String
    private let bus = try? Bus(acceptsDescriptors: false)

    init(root: String) { self.root = root }

    var findings: [Finding] { (isThisDevice ? Accounts.findings + busFiles : skipped) + agent }

    private var isThisDevice: Bool { root == "/" }

    private var skipped: [Finding] {
        ["accounts", "D-Bus"].map { .skip($0, "--root names the configuration of another system") }
    }

    func units(boot: Bool) -> [Finding] { UnitCheckup.findings(bus, boot: boot) }

    /// The policy without which the agent does not get its name on the bus, and the actions of polkit.
    private var busFiles: [Finding] {
        let name = "D-Bus"
        let places = ["/usr/share", "/usr/local/share", "/etc"]
        guard places.contains(where: { Files.exists("\($0)/dbus-1/system.d/\(AgentClient.name).conf") }) else {
            return [
                .bad(
                    name,
                    "\(AgentClient.name).conf is not in /usr/share/dbus-1/system.d, so the agent cannot be controlled",
                    "install upgradelinkd again, then systemctl reload dbus")
            ]
        }
        guard places.contains(where: { Files.exists("\($0)/polkit-1/actions/org.upgradelink.policy") }) else {
            return [
                .warn(
                    name,
                    "org.upgradelink.policy is not in /usr/share/polkit-1/actions, so only root and the group \(Accounts.controllers) can control the agent",
                    "install upgradelinkd again")
            ]
        }
        return [.ok(name, "the policy of the bus and the actions of polkit are installed")]
    }

    /// What the running agent says.
    private var agent: [Finding] {
        do throws(BusError) {
            let status = try AgentClient().status()
            let finding: Finding =
                status.exitStatus == 2
                ? .bad("agent", status.statusText, "see journalctl -u upgradelinkd") : .ok("agent", status.statusText)
            let warnings = status.warnings.map { Finding.bad("updates", "\($0)") }
            return [finding]
                + (warnings.isEmpty ? [.ok("updates", "the agent needs nothing from the operator")] : warnings)
        } catch {
            return [
                .bad("agent", AgentClient.line(error), "see systemctl status upgradelinkd"),
                .skip("updates", "not checked without the agent"),
            ]
        }
    }
}
