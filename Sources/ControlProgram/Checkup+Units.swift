import Configuration
import Systemd

/// What systemd reports about the units.
extension Checkup {
    /// The agent, the installer socket, and the unit that resumes an installation after a reboot.
    var units: [Finding] {
        do throws(BusError) {
            let bus = try Bus()
            return [
                Self.agent(try Unit("upgradelinkd.service", bus)),
                Self.installer(
                    try Unit("upgradelink-installer.socket", bus), try Unit("upgradelink-installer.service", bus)),
                Self.resume(try Unit("upgradelink-installer-resume.service", bus)),
            ]
        } catch {
            return [.well("unit", "not checked: there is no systemd on this bus")]
        }
    }

    private static func agent(_ unit: Unit) -> Finding {
        if unit.isMasked {
            return .ill(
                "unit", "\(unit.name) is masked, so this device gets no updates",
                "systemctl unmask upgradelinkd; systemctl enable --now upgradelinkd")
        }
        if !unit.isActive {
            return .ill(
                "unit", "\(unit.name) is \(unit.state)",
                "systemctl enable --now upgradelinkd; systemctl status upgradelinkd")
        }
        return unit.startsAtBoot
            ? .well("unit", "\(unit.name) is active and enabled")
            : .ill("unit", "\(unit.name) is active, but does not start at boot", "systemctl enable upgradelinkd")
    }

    private static func installer(_ socket: Unit, _ service: Unit) -> Finding {
        for unit in [socket, service] where unit.isMasked {
            return .ill(
                "installer", "\(unit.name) is masked, so nothing can be installed",
                "systemctl unmask \(unit.name); systemctl start \(socket.name)")
        }
        return socket.isActive
            ? .well("installer", "\(socket.name) is \(socket.state)")
            : .ill(
                "installer", "\(socket.name) is \(socket.state), so nothing can be installed",
                "systemctl start \(socket.name)")
    }

    private static func resume(_ unit: Unit) -> Finding {
        let consequence: Shown = "so no installation continues after a reboot"
        if unit.isMasked {
            return .ill("resume", "\(unit.name) is masked, \(consequence)", "systemctl unmask \(unit.name)")
        }
        if !unit.isLoaded {
            return .ill("resume", "\(unit.name) is not there, \(consequence)", "install upgradelinkd again")
        }
        if !unit.startsAtBoot {
            return .ill(
                "resume", "nothing starts \(unit.name), \(consequence)",
                "systemctl add-wants multi-user.target \(unit.name)")
        }
        return unit.state == "failed"
            ? .ill("resume", "\(unit.name) has failed", "systemctl status \(unit.name)")
            : .well("resume", "\(unit.name) runs at each boot")
    }

    /// The units of the health check.
    var healthUnits: [Finding] {
        HealthUnits.problems(of: settings.install.healthUnits, restarted: settings.install.restartUnits).map {
            .ill("health check", "\($0)", "correct the option, or the unit")
        }
    }
}

/// A unit, as systemd reports it.
private struct Unit {
    var name: Shown
    /// `active`, `inactive`, `failed`, … (ActiveState).
    var state: String
    var isMasked: Bool
    var isLoaded: Bool
    /// Another unit, such as a target, pulls it in.
    var startsAtBoot: Bool
    var isActive: Bool { state == "active" }

    init(_ name: String, _ bus: Bus) throws(BusError) {
        let manager = "org.freedesktop.systemd1"
        let reply = try bus.callAndWait(
            manager, "/org/freedesktop/systemd1", "\(manager).Manager", "LoadUnit", [.string(name)])
        let fields = try bus.callAndWait(
            manager, reply.first?.text ?? "/", "org.freedesktop.DBus.Properties", "GetAll",
            [.string("\(manager).Unit")]
        ).first?.fields
        self.name = "\(name)"
        state = fields?["ActiveState"]?.text ?? "unknown"
        let load = fields?["LoadState"]?.text
        isMasked = load == "masked"
        isLoaded = load == "loaded"
        startsAtBoot = ["WantedBy", "RequiredBy"].contains { fields?[$0]?.items?.isEmpty == false }
    }
}
