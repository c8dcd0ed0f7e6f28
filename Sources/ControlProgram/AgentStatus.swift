import Systemd
import UpdateCore

/// The agent's properties. A property that another version of the agent does not have is zero or empty; one of another type is an
/// error.
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

        /// The agent allows 64.
        static let limit = 100
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
    /// What lasts and needs the operator, with the remedy.
    var warnings: [String]

    init(_ fields: [String: BusValue]) throws(BusError) {
        let properties = Properties(fields: fields)
        state = try properties.text("State")
        statusText = try properties.text("StatusText")
        guard !state.isEmpty else { throw AgentClient.unexpected("no State") }
        let installed = try properties.parts("InstalledVersion", "(ts)")
        self.installed = Version(versionCode: installed?[0].number ?? 0, versionName: installed?[1].bounded ?? "")
        let offer = try properties.parts("Offer", "(tssst)")
        self.offer = Offered(
            versionCode: offer?[0].number ?? 0, versionName: offer?[1].bounded ?? "",
            upgradeType: offer?[2].bounded ?? "", text: offer?[3].bounded ?? "", size: offer?[4].number ?? 0)
        let progress = try properties.parts("Progress", "(ttt)")
        self.progress = Progress(
            received: progress?[0].number ?? 0, total: progress?[1].number ?? 0, rate: progress?[2].number ?? 0)
        nextCheck = try properties.number("NextCheck")
        lastCheck = try properties.number("LastCheck")
        lastError = try properties.text("LastError")
        deadline = try properties.number("Deadline")
        deferralsLeft = try properties.number("DeferralsLeft")
        speedLimit = try properties.number("SpeedLimit")
        inhibitors = (try properties.parts("Inhibitors", "a(sss)") ?? []).prefix(Inhibitor.limit).map { item in
            let parts = item.items ?? []
            return Inhibitor(what: parts[0].bounded, who: parts[1].bounded, why: parts[2].bounded)
        }
        warnings = (try properties.parts("Warnings", "as") ?? []).prefix(Inhibitor.limit).map(\.bounded)
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

/// Reads properties. The getters throw if the type is another one than that of the interface.
private struct Properties {
    let fields: [String: BusValue]

    func text(_ name: String) throws(BusError) -> String {
        guard let value = fields[name] else { return "" }
        guard value.text != nil else { throw AgentClient.unexpected("the type of \(name)") }
        return value.bounded
    }

    func number(_ name: String) throws(BusError) -> UInt64 {
        guard let value = fields[name] else { return 0 }
        guard let number = value.number else { throw AgentClient.unexpected("the type of \(name)") }
        return number
    }

    func parts(_ name: String, _ signature: String) throws(BusError) -> [BusValue]? {
        guard let value = fields[name] else { return nil }
        guard value.signature == signature, let items = value.items else {
            throw AgentClient.unexpected("the type of \(name)")
        }
        return items
    }
}

/// One update in the agent's history.
struct HistoryEntry: Encodable {
    var versionCode: UInt64
    var versionName: String
    var upgradeType: String
    var started: UInt64
    var ended: UInt64
    var bytes: UInt64
    var result: String
    var reason: String

    /// The entries that the agent keeps.
    static let limit = 50

    init(_ value: BusValue) throws(BusError) {
        guard value.signature == "(tsstttss)", let parts = value.items else {
            throw AgentClient.unexpected("an entry of the history")
        }
        versionCode = parts[0].number ?? 0
        versionName = parts[1].bounded(512)
        upgradeType = parts[2].bounded(512)
        started = parts[3].number ?? 0
        ended = parts[4].number ?? 0
        bytes = parts[5].number ?? 0
        result = parts[6].bounded(512)
        reason = parts[7].bounded(2048)
    }
}

extension BusValue {
    /// The text, at most 4096 Unicode scalars of it: no text of the agent is longer. Empty for another type.
    fileprivate var bounded: String { bounded(4096) }

    fileprivate func bounded(_ limit: Int) -> String { text.map { String($0.unicodeScalars.prefix(limit)) } ?? "" }
}
