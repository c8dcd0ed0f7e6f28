/// Finds units that no health check can pass (`install.healthUnits`, `install.restartUnits`).
public enum HealthUnits {
    private static let manager = "org.freedesktop.systemd1"
    private static let properties = "org.freedesktop.DBus.Properties"

    /// - Returns: a line for each such unit; nothing without systemd on the system bus.
    public static func problems(of units: [String], restarted: [String] = []) -> [String] {
        guard !(units + restarted).isEmpty, let bus = try? Bus(acceptsDescriptors: false) else { return [] }
        return problems(of: units, restarted: restarted, bus)
    }

    static func problems(of units: [String], restarted: [String], _ bus: Bus) -> [String] {
        let named = units.map { ("healthUnits", $0) } + restarted.map { ("restartUnits", $0) }
        return named.compactMap { option, unit in
            guard let reason = try? reason(unit, bus) else { return nil }
            return "install.\(option): \(unit) \(reason), so no update would pass the health check"
        }
    }

    private static func reason(_ unit: String, _ bus: Bus) throws(BusError) -> String? {
        let reply = try bus.callAndWait(
            manager, "/org/freedesktop/systemd1", "\(manager).Manager", "LoadUnit", [.string(unit)])
        guard let path = reply.first?.text else { return nil }
        switch try value("Unit", "LoadState", path, bus)?.text {
        case "not-found": return "does not exist"
        case "masked": return "is masked"
        case "loaded": break
        case let state: return "cannot be loaded (\(state ?? "unknown")): systemctl status \(unit)"
        }
        guard unit.hasSuffix(".service"), try value("Service", "Type", path, bus)?.text == "oneshot",
            try value("Service", "RemainAfterExit", path, bus)?.flag != true
        else { return nil }
        return "is a oneshot service without RemainAfterExit=, which is never active for long"
    }

    private static func value(
        _ interface: String, _ name: String, _ path: String, _ bus: Bus
    ) throws(BusError) -> BusValue? {
        let reply = try bus.callAndWait(
            manager, path, properties, "Get", [.string("\(manager).\(interface)"), .string(name)])
        if case .variant(let value)? = reply.first { return value }
        return nil
    }
}
