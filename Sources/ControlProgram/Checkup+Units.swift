import Configuration
import Host
import Systemd
import UpdateCore

/// What systemd reports about the units.
extension Checkup {
    /// The agent, the installer socket, and the unit that resumes an installation after a reboot.
    var units: [Finding] {
        do throws(BusError) {
            let bus = try Bus()
            var findings = [
                Self.agent(try Unit("upgradelinkd.service", bus)),
                Self.installer(
                    try Unit("upgradelink-installer.socket", bus), try Unit("upgradelink-installer.service", bus)),
                Self.resume(try Unit("upgradelink-installer-resume.service", bus), try Boot(bus)),
            ]
            if settings.install.missedWindows == .boot {
                findings.append(Self.bootWait(try Unit("upgradelink-boot.service", bus)))
            }
            return findings
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
        if unit.isEnabledForThisBoot {
            return .ill(
                "unit", "\(unit.name) is active, but enabled only until the next reboot",
                "systemctl enable upgradelinkd")
        }
        return unit.startsAtBoot
            ? .well("unit", "\(unit.name) is active and enabled")
            : .ill("unit", "\(unit.name) is active, but does not start at boot", "systemctl enable upgradelinkd")
    }

    private static func bootWait(_ unit: Unit) -> Finding {
        let consequence: Shown = "so the user interface does not wait for an overdue version (install.missedWindows)"
        if unit.isMasked {
            return .ill(
                "boot", "\(unit.name) is masked, \(consequence)",
                "systemctl unmask \(unit.name); systemctl enable \(unit.name)")
        }
        if !unit.isLoaded {
            return .ill("boot", "\(unit.name) is not there, \(consequence)", "install upgradelinkd again")
        }
        return unit.startsAtBoot && !unit.isEnabledForThisBoot
            ? .well("boot", "\(unit.name) is enabled")
            : .ill("boot", "\(unit.name) is not enabled, \(consequence)", "systemctl enable \(unit.name)")
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

    private static func resume(_ unit: Unit, _ boot: Boot) -> Finding {
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
        if unit.state == "inactive", !unit.hasRun, boot.isComplete, boot.began(after: unit) {
            return .ill(
                "resume", "\(unit.name) did not run in this boot, \(consequence)",
                "look for its name in journalctl -b _PID=1, and correct the unit that prevents it")
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
    /// Only with a link in /run.
    var isEnabledForThisBoot: Bool
    /// It has left the state `inactive` since the boot.
    var hasRun: Bool
    /// The path of its file; empty if it has none.
    var path: String
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
        isEnabledForThisBoot = fields?["UnitFileState"]?.text == "enabled-runtime"
        hasRun = fields?["InactiveExitTimestampMonotonic"]?.number ?? 0 > 0
        path = fields?["FragmentPath"]?.text ?? ""
    }
}

/// This boot, as systemd reports it.
private struct Boot {
    /// No job of the boot is left.
    var isComplete: Bool
    /// When systemd started, by the clock as it is now: it may have been set since.
    private var start: WallTime

    init(_ bus: Bus) throws(BusError) {
        let manager = "org.freedesktop.systemd1"
        let fields = try bus.callAndWait(
            manager, "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties", "GetAll",
            [.string("\(manager).Manager")]
        ).first?.fields
        isComplete = ["running", "degraded"].contains(fields?["SystemState"]?.text ?? "")
        let started = Seconds(fields?["UserspaceTimestampMonotonic"]?.number ?? 0) / 1e6
        start = Clock.wallTime + (started - Clock.bootTime.seconds)
    }

    /// Whether the unit was there when this boot began, and not installed later.
    func began(after unit: Unit) -> Bool {
        guard let changed = Files.statusChange(of: unit.path) else { return false }
        return changed < start
    }
}
