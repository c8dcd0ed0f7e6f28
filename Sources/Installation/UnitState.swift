import UpdateCore

/// The state of a unit, as `systemctl show` prints it.
struct UnitState: Hashable, Sendable {
    static let properties =
        "LoadState,ActiveState,UnitFileState,Job,Result,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic,"
        + "StatusText,ConditionResult"

    private var values: [String: String] = [:]

    init() {}

    /// - Parameter line: `NAME=VALUE`.
    mutating func read(_ line: String) {
        guard let equals = line.firstIndex(of: "=") else { return }
        values[String(line[..<equals])] = String(line[line.index(after: equals)...]).sanitized(limit: 40)
    }

    var isActive: Bool { values["ActiveState"] == "active" }
    var isLoaded: Bool { values["LoadState"] == "loaded" }

    /// Why a unit that is not active has not failed: the operator wants it like this.
    enum Absence: String, CustomStringConvertible {
        case stopped, masked, disabled
        var description: String { rawValue }
    }

    /// - Parameter permitted: how else than stopped it may be absent. A disabled unit is absent if it was not started in this boot.
    func absence(_ permitted: AgentUnit.Permission) -> Absence? {
        guard values["ActiveState"] == "inactive" else { return nil }
        if values["LoadState"] == "masked" { return permitted.contains(.masked) ? .masked : nil }
        // A job starts it soon, for example that of a restart.
        guard values["Job"] ?? "0" == "0" || values["Job"] == "", values["Result"] == "success" else { return nil }
        // A new unit file may prevent the start with a condition.
        if values["StatusText"] == stoppedStatus, values["ConditionResult"] != "no" { return .stopped }
        let wasStarted = values["ExecMainStartTimestampMonotonic"] ?? "0" != "0"
        return permitted.contains(.disabled) && values["UnitFileState"] == "disabled" && !wasStarted ? .disabled : nil
    }

    /// Why the unit is not healthy; nil if it is. Each start of the unit, also an automatic one, sets the time since which it is
    /// active (org.freedesktop.systemd1(5)).
    ///
    /// - Parameter now: of CLOCK_MONOTONIC, in microseconds.
    func complaint(settleTime: Seconds, now: UInt64) -> String? {
        if values["LoadState"] == "not-found" { return "does not exist" }
        guard let state = values["ActiveState"] else { return "has no state" }
        guard state == "active" else { return "is \(state)" }
        guard let start = values["ActiveEnterTimestampMonotonic"].flatMap({ UInt64($0) }), start <= now else {
            return "does not say since when it is active"
        }
        let age = Seconds(now - start) / 1e6
        guard age < settleTime else { return nil }
        return "has been active for \(describe(age)) only, of \(describe(settleTime)) (install.healthSettle)"
    }
}
