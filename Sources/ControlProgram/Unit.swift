import Host
import Systemd
import UpdateCore

/// A unit, as systemd reports it.
struct Unit {
    var name: String
    /// `active`, `inactive`, `failed`, … (ActiveState).
    var state: String
    var isMasked: Bool
    /// `loaded`, `masked`, `not-found`, `bad-setting`, `error`, … (LoadState).
    var load: String
    var isLoaded: Bool { load == "loaded" }
    /// Another unit, such as a target, pulls it in.
    var startsAtBoot: Bool
    /// Its files have changed since systemd read them.
    var needsReload: Bool
    /// Only with a link in /run.
    var isEnabledForThisBoot: Bool
    /// It has left the state `inactive` since the boot.
    var hasRun: Bool
    /// The path of its file; empty if it has none.
    var path: String
    var isActive: Bool { state == "active" }

    /// Why systemd cannot start the unit, and what to do; nil if it has loaded it, or it is masked.
    var loadProblem: (text: String, remedy: String)? {
        if isLoaded || isMasked { return nil }
        return load == "not-found"
            ? ("\(name) is not there", "install upgradelinkd again, then systemctl daemon-reload")
            : (
                "systemd cannot load \(name) (\(load))",
                "systemctl status \(name); correct the unit, or systemctl revert \(name)"
            )
    }

    init(_ name: String, _ bus: Bus) throws(BusError) {
        let manager = "org.freedesktop.systemd1"
        let reply = try bus.callAndWait(
            manager, "/org/freedesktop/systemd1", "\(manager).Manager", "LoadUnit", [.string(name)])
        let fields = try bus.callAndWait(
            manager, reply.first?.text ?? "/", "org.freedesktop.DBus.Properties", "GetAll",
            [.string("\(manager).Unit")]
        ).first?.fields
        self.name = name
        state = fields?["ActiveState"]?.text ?? "unknown"
        load = fields?["LoadState"]?.text ?? "unknown"
        isMasked = load == "masked"
        startsAtBoot = ["WantedBy", "RequiredBy"].contains { fields?[$0]?.items?.isEmpty == false }
        needsReload = fields?["NeedDaemonReload"]?.flag == true
        isEnabledForThisBoot = fields?["UnitFileState"]?.text == "enabled-runtime"
        hasRun = fields?["InactiveExitTimestampMonotonic"]?.number ?? 0 > 0
        path = fields?["FragmentPath"]?.text ?? ""
    }
}

/// What a service executes, as systemd reports it.
struct ServiceCommand {
    /// Of User=; empty for root.
    var user: String
    /// The programs of ExecStart= with their arguments; the first argument is the name of the program.
    var commands: [(program: String, arguments: [String])]

    init(_ name: String, _ bus: Bus) throws(BusError) {
        let manager = "org.freedesktop.systemd1"
        let reply = try bus.callAndWait(
            manager, "/org/freedesktop/systemd1", "\(manager).Manager", "LoadUnit", [.string(name)])
        let fields = try bus.callAndWait(
            manager, reply.first?.text ?? "/", "org.freedesktop.DBus.Properties", "GetAll",
            [.string("\(manager).Service")]
        ).first?.fields
        user = fields?["User"]?.text ?? ""
        commands = (fields?["ExecStart"]?.items ?? []).compactMap { command in
            guard let parts = command.items, parts.count >= 2, let program = parts[0].text else { return nil }
            return (program, parts[1].items?.compactMap(\.text) ?? [])
        }
    }
}

/// This boot, as systemd reports it.
struct Boot {
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
