import Glibc
import Systemd
import UpdateCore

/// A connection to the agent over D-Bus.
struct AgentClient {
    static let name = "org.upgradelink.Agent1"
    static let path = "/org/upgradelink/Agent1"

    let bus: Bus

    init() throws(BusError) { bus = try Bus() }

    /// - Parameter timeout: seconds; the default is longer than the 120 s that the agent waits for polkit.
    @discardableResult
    func call(_ method: String, _ arguments: BusValue..., timeout: Double = 150) throws(BusError) -> [BusValue] {
        try bus.callAndWait(Self.name, Self.path, Self.name, method, arguments, timeout: timeout)
    }

    func status() throws(BusError) -> AgentStatus {
        let values = try bus.callAndWait(
            Self.name, Self.path, "org.freedesktop.DBus.Properties", "GetAll", [.string(Self.name)])
        return AgentStatus(values.first?.fields ?? [:])
    }

    func history() throws(BusError) -> [HistoryEntry] {
        (try call("History").first?.items ?? []).compactMap(HistoryEntry.init)
    }

    /// The offered version, for commands without a versionCode.
    func offeredVersion() throws(BusError) -> UInt64 {
        let offer = try status().offer
        guard offer.versionCode > 0 else { throw BusError("\(Self.name).Error.NotNow", "no version is offered") }
        return offer.versionCode
    }

    // MARK: errors

    static func line(_ error: BusError) -> String {
        switch error.name {
        case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
            "upgradelinkd is not running: systemctl start upgradelinkd"
        case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout":
            "upgradelinkd does not respond: systemctl status upgradelinkd"
        case "org.freedesktop.DBus.Error.FileNotFound", "org.freedesktop.DBus.Error.Failed",
            "org.freedesktop.DBus.Error.NoServer":
            "there is no system bus (\(error)): systemctl status upgradelinkd shows the state of the agent"
        default: "\(error)"
        }
    }

    static func exitStatus(_ error: BusError) -> CInt {
        switch error.name {
        case "org.freedesktop.DBus.Error.AccessDenied": EX_NOPERM
        case "org.freedesktop.DBus.Error.InvalidArgs": EX_USAGE
        case let name where name.hasPrefix(Self.name): 1
        default: 2
        }
    }
}

/// The agent's properties.
struct AgentStatus: Encodable {
    struct Version: Encodable {
        var versionCode: UInt64
        var versionName: String
    }
    struct Offered: Encodable {
        var versionCode: UInt64
        var versionName: String
        var upgradeType: String
        var text: String
        var size: UInt64
    }
    struct Progress: Encodable {
        var received: UInt64
        var total: UInt64
        var rate: UInt64
    }
    struct Inhibitor: Encodable {
        var what: String
        var who: String
        var why: String
    }

    var state: String
    var statusText: String
    var installed: Version
    var offer: Offered
    var progress: Progress
    // Times are seconds since 1970; 0 for none.
    var nextCheck: UInt64
    var lastCheck: UInt64
    var lastError: String
    var deadline: UInt64
    var deferralsLeft: UInt64
    /// Bytes per second; 0 for no limit.
    var speedLimit: UInt64
    var inhibitors: [Inhibitor]

    init(_ fields: [String: BusValue]) {
        func text(_ name: String) -> String { fields[name]?.text ?? "" }
        func number(_ name: String) -> UInt64 { fields[name]?.number ?? 0 }
        func part(_ name: String, _ index: Int) -> BusValue? {
            let items = fields[name]?.items ?? []
            return index < items.count ? items[index] : nil
        }
        state = text("State")
        statusText = text("StatusText")
        installed = Version(
            versionCode: part("InstalledVersion", 0)?.number ?? 0, versionName: part("InstalledVersion", 1)?.text ?? "")
        offer = Offered(
            versionCode: part("Offer", 0)?.number ?? 0, versionName: part("Offer", 1)?.text ?? "",
            upgradeType: part("Offer", 2)?.text ?? "", text: part("Offer", 3)?.text ?? "",
            size: part("Offer", 4)?.number ?? 0)
        progress = Progress(
            received: part("Progress", 0)?.number ?? 0, total: part("Progress", 1)?.number ?? 0,
            rate: part("Progress", 2)?.number ?? 0)
        nextCheck = number("NextCheck")
        lastCheck = number("LastCheck")
        lastError = text("LastError")
        deadline = number("Deadline")
        deferralsLeft = number("DeferralsLeft")
        speedLimit = number("SpeedLimit")
        inhibitors = (fields["Inhibitors"]?.items ?? []).compactMap { item in
            guard let parts = item.items, parts.count == 3 else { return nil }
            return Inhibitor(what: parts[0].text ?? "", who: parts[1].text ?? "", why: parts[2].text ?? "")
        }
    }

    /// 0 up to date, 1 something is pending or in progress, 2 something is wrong.
    var exitStatus: CInt {
        switch state {
        case "idle", "checking": 0
        case "error": 2
        default: 1
        }
    }
}

struct HistoryEntry: Encodable {
    var versionCode: UInt64
    var versionName: String
    var upgradeType: String
    var started: UInt64
    var ended: UInt64
    var bytes: UInt64
    var result: String
    var reason: String

    init?(_ value: BusValue) {
        guard let parts = value.items, parts.count == 8 else { return nil }
        versionCode = parts[0].number ?? 0
        versionName = parts[1].text ?? ""
        upgradeType = parts[2].text ?? ""
        started = parts[3].number ?? 0
        ended = parts[4].number ?? 0
        bytes = parts[5].number ?? 0
        result = parts[6].text ?? ""
        reason = parts[7].text ?? ""
    }
}
