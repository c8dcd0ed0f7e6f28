import Systemd
import UpdateCore

/// The agent's properties. A property that another version of the agent does not have is zero or empty; one of another type is an
/// error. An agent of 0.1.0 still runs while the package is upgraded: its types of Offer, Inhibitors and the history are read too.
///
/// In JSON, `null` stands for none; docs/json.md describes the fields.
struct AgentStatus {
    struct Version {
        var versionCode: UInt64
        var versionName: String
    }
    struct Offered {
        /// 0 if nothing is offered.
        var versionCode: UInt64
        var versionName: String
        var upgradeType: String
        var text: String
        var size: UInt64
        /// `server` or `file`; empty from an agent of 0.1.0.
        var source: String
    }
    struct Progress {
        var received: UInt64
        var total: UInt64
        var rate: UInt64
    }
    struct Inhibitor {
        var what: String
        var who: String
        var why: String

        /// The agent allows 64.
        static let limit = 100
    }
    /// A version that is rejected or blocked.
    struct Refused {
        var versionCode: UInt64
        var versionName: String
        /// `rejected` or `blocked`.
        var why: String
        var failures: UInt64
        var reason: String
        var reasonCode: String

        /// The agent remembers 8 rejected and 8 failed versions.
        static let limit = 32
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
    var lastErrorCode: String
    var deadline: UInt64
    var deferralsLeft: UInt64
    /// Bytes per second; 0 for no limit.
    var speedLimit: UInt64
    var inhibitors: [Inhibitor]
    /// What lasts and needs the operator, with the remedy.
    var warnings: [String]
    var refusedVersions: [Refused]

    init(_ fields: [String: BusValue]) throws(BusError) {
        let properties = Properties(fields: fields)
        state = try properties.text("State")
        statusText = try properties.text("StatusText")
        guard !state.isEmpty else { throw AgentClient.unexpected("no State") }
        let installed = try properties.parts("InstalledVersion", "(ts)")
        self.installed = Version(versionCode: installed?[0].number ?? 0, versionName: installed?[1].bounded ?? "")
        offer = try Self.offer(properties)
        let progress = try properties.parts("Progress", "(ttt)")
        self.progress = Progress(
            received: progress?[0].number ?? 0, total: progress?[1].number ?? 0, rate: progress?[2].number ?? 0)
        nextCheck = try properties.number("NextCheck")
        lastCheck = try properties.number("LastCheck")
        lastError = try properties.text("LastError")
        lastErrorCode = try properties.text("LastErrorCode").bounded(Self.codeLimit)
        deadline = try properties.number("Deadline")
        deferralsLeft = try properties.number("DeferralsLeft")
        speedLimit = try properties.number("SpeedLimit")
        inhibitors = try properties.dictionaries(
            "Inhibitors", limit: Inhibitor.limit, formerly: ["what", "who", "why"]
        )
        .map { Inhibitor(what: $0.text("what"), who: $0.text("who"), why: $0.text("why")) }
        warnings = (try properties.parts("Warnings", "as") ?? []).prefix(Inhibitor.limit).map(\.bounded)
        refusedVersions = try properties.dictionaries("RefusedVersions", limit: Refused.limit).map {
            Refused(
                versionCode: $0.number("versionCode"), versionName: $0.text("versionName"), why: $0.text("why"),
                failures: $0.number("failures"), reason: $0.text("reason"),
                reasonCode: $0.text("reasonCode", limit: Self.codeLimit))
        }
    }

    /// Unicode scalars of a reason code.
    fileprivate static let codeLimit = 64

    private static func offer(_ properties: Properties) throws(BusError) -> Offered {
        let names = ["versionCode", "versionName", "upgradeType", "text", "size"]
        let fields = try properties.dictionary("Offer", formerly: "(tssst)", names)
        return Offered(
            versionCode: fields.number("versionCode"), versionName: fields.text("versionName"),
            upgradeType: fields.text("upgradeType"), text: fields.text("text"), size: fields.number("size"),
            source: fields.text("source", limit: codeLimit))
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

/// The fields of a dictionary. A field that is missing, or has another type, is zero or empty: versions differ in them.
private struct Fields {
    let values: [String: BusValue]

    /// - Parameter limit: Unicode scalars.
    func text(_ name: String, limit: Int = BusValue.textLimit) -> String { values[name]?.bounded(limit) ?? "" }
    func number(_ name: String) -> UInt64 { values[name]?.number ?? 0 }
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

    /// An `a{sv}`.
    ///
    /// - Parameter former: the signature of the structure that 0.1.0 had instead, and the names of its parts.
    func dictionary(_ name: String, formerly former: String, _ names: [String]) throws(BusError) -> Fields {
        guard let value = fields[name] else { return Fields(values: [:]) }
        guard let fields = value.namedFields(formerly: former, names) else {
            throw AgentClient.unexpected("the type of \(name)")
        }
        return fields
    }

    /// An `aa{sv}`; 0.1.0 had an array of structures of texts.
    func dictionaries(_ name: String, limit: Int, formerly names: [String] = []) throws(BusError) -> [Fields] {
        guard let value = fields[name] else { return [] }
        let former = "(" + names.map { _ in "s" }.joined() + ")"
        guard value.signature == "aa{sv}" || !names.isEmpty && value.signature == "a\(former)", let items = value.items
        else { throw AgentClient.unexpected("the type of \(name)") }
        return items.prefix(limit).compactMap { $0.namedFields(formerly: former, names) }
    }
}

/// One update in the agent's history.
struct HistoryEntry {
    var versionCode: UInt64
    var versionName: String
    var upgradeType: String
    var started: UInt64
    var ended: UInt64
    var bytes: UInt64
    var result: String
    var reason: String
    var reasonCode: String
    /// `server` or `file`; empty if 0.1.0 recorded it.
    var source: String

    /// The entries that the agent keeps.
    static let limit = 50

    init(_ value: BusValue) throws(BusError) {
        let names = ["versionCode", "versionName", "upgradeType", "started", "ended", "bytes", "result", "reason"]
        guard let fields = value.namedFields(formerly: "(tsstttss)", names) else {
            throw AgentClient.unexpected("an entry of the history")
        }
        versionCode = fields.number("versionCode")
        versionName = fields.text("versionName", limit: 512)
        upgradeType = fields.text("upgradeType", limit: 512)
        started = fields.number("started")
        ended = fields.number("ended")
        bytes = fields.number("bytes")
        result = fields.text("result", limit: 512)
        reason = fields.text("reason", limit: 2048)
        reasonCode = fields.text("reasonCode", limit: AgentStatus.codeLimit)
        source = fields.text("source", limit: AgentStatus.codeLimit)
    }
}

extension BusValue {
    /// Unicode scalars of a text: no text of the agent is longer.
    fileprivate static let textLimit = 4096

    /// The text, at most ``textLimit`` of it. Empty for another type.
    fileprivate var bounded: String { bounded(Self.textLimit) }

    fileprivate func bounded(_ limit: Int) -> String { text?.bounded(limit) ?? "" }

    /// The fields of an `a{sv}`, or of a structure with the parts of these names. Nil for another type.
    fileprivate func namedFields(formerly signature: String, _ names: [String]) -> Fields? {
        if self.signature == "a{sv}" { return Fields(values: fields) }
        guard !names.isEmpty, self.signature == signature, let parts = items, parts.count == names.count else {
            return nil
        }
        return Fields(values: Dictionary(uniqueKeysWithValues: zip(names, parts)))
    }
}

extension String {
    fileprivate func bounded(_ limit: Int) -> String { String(unicodeScalars.prefix(limit)) }
}
