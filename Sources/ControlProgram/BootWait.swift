import ArgumentParser
import Glibc
import Host
import Systemd
import UpdateCore

/// For upgradelink-boot.service: the user interface starts after it.
struct BootWait: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "boot-wait", abstract: "Wait while the agent installs an overdue version right after the boot.",
        discussion: """
            For install.missedWindows = "boot". It returns at once if the agent installs none, and soon if the agent does not \
            respond. Exit status: always 0, because it must not hinder the boot.
            """, shouldDisplay: false)

    /// Seconds for which the agent may be without its name on the bus, because it has just been started or is restarted.
    private static let patience: Seconds = 5
    /// The longest wait, in seconds; the boot continues meanwhile without the update.
    private static let limit: Seconds = 1500
    private static let pause: UInt32 = 200_000
    private static let manager = "org.freedesktop.systemd1"

    func run() {
        let start = Clock.bootTime
        var lastSeen = start
        while Clock.bootTime - start < Self.limit {
            do throws(BusError) {
                guard
                    try Self.property("InstallsAtBoot", AgentClient.name, AgentClient.path, AgentClient.name)?.flag
                        == true
                else { return }
                lastSeen = Clock.bootTime
            } catch {
                guard Clock.bootTime - lastSeen < Self.patience, Self.agentRuns else { return }
            }
            usleep(Self.pause)
        }
    }

    private static var agentRuns: Bool {
        let path = "/org/freedesktop/systemd1/unit/upgradelinkd_2eservice"
        let state = try? property("ActiveState", manager, path, "\(manager).Unit")
        return ["active", "activating", "reloading"].contains(state?.text ?? "")
    }

    private static func property(
        _ name: String, _ destination: String, _ path: String, _ interface: String
    ) throws(BusError) -> BusValue? {
        let reply = try Bus(acceptsDescriptors: false).callAndWait(
            destination, path, "org.freedesktop.DBus.Properties", "Get", [.string(interface), .string(name)],
            timeout: patience)
        if case .variant(let value)? = reply.first { return value }
        return nil
    }
}
