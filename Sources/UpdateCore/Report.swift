/// Something to tell the server (`POST /v1/app/report`).
public struct Report: Codable, Hashable, Sendable {
    public enum Kind: Codable, Hashable, Sendable {
        case appStart(versionCode: Int)
        case download(running: Int, version: Int, code: Int)
        case upgrade(running: Int, version: Int, code: Int)
    }

    /// The codes the agent sends; the contract only says that 0 is success.
    public enum Code {
        public static let success = 0
        public static let refused = 1
        public static let gone = 2
        public static let rolledBack = 3
        public static let failed = 4
    }

    public var kind: Kind
    /// When it happened.
    public var time: WallTime

    public init(kind: Kind, time: WallTime) {
        self.kind = kind
        self.time = time
    }
}

/// Reports on their way: few, persistent, dropped after bounded tries, never in an update's way.
public struct ReportQueue: Codable, Hashable, Sendable {
    public struct Entry: Codable, Hashable, Sendable {
        public var id: Int
        public var report: Report
        public var tries: Int
        /// Not before this moment; nil: at once.
        public var due: BootInstant?

        enum CodingKeys: String, CodingKey { case id, report, tries, due }
    }

    public static let capacity = 32
    public static let maximumTries = 10

    public private(set) var entries: [Entry] = []
    public private(set) var nextID = 1
    /// None before this moment: the server has no room.
    public var notBefore = BootInstant(0)
    /// The entry a worker has in hand. Not stored: a restart sends it again.
    public private(set) var sending: Int?

    enum CodingKeys: String, CodingKey { case entries, nextID, notBefore }

    public init() {}

    init(_ entries: [Entry], nextID: Int, notBefore: BootInstant) {
        (self.entries, self.nextID, self.notBefore) = (entries, nextID, notBefore)
    }

    public var isEmpty: Bool { entries.isEmpty }

    /// The oldest that is due.
    func next(_ now: BootInstant) -> Entry? {
        guard sending == nil, notBefore <= now else { return nil }
        return entries.first { ($0.due ?? now) <= now }
    }

    /// When ``next(_:)`` has something; nil while a worker has an entry in hand, or none is left.
    var wakeUp: BootInstant? {
        guard sending == nil else { return nil }
        return entries.map { max($0.due ?? notBefore, notBefore) }.min()
    }

    /// A full queue loses its oldest entry.
    mutating func add(_ report: Report, due: BootInstant? = nil) {
        if case .appStart = report.kind {
            entries.removeAll {
                if case .appStart = $0.report.kind { $0.id != sending } else { false }
            }
        }
        entries.append(Entry(id: nextID, report: report, tries: 0, due: due))
        nextID += 1
        if entries.count > Self.capacity { entries.removeFirst(entries.count - Self.capacity) }
    }

    mutating func send(_ id: Int) { sending = id }

    mutating func delivered(_ id: Int) {
        entries.removeAll { $0.id == id }
        sending = nil
    }

    /// Counts a failed try; returns the entry if that was its last.
    mutating func failed(_ id: Int) -> Entry? {
        sending = nil
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
        entries[index].tries += 1
        return entries[index].tries >= Self.maximumTries ? entries.remove(at: index) : nil
    }

    mutating func forgetWorker() { sending = nil }

    /// What waited in another boot goes at this moment.
    mutating func putOff(to moment: BootInstant) {
        notBefore = moment
        for index in entries.indices { entries[index].due = nil }
    }
}
