/// An event report for the server (`POST /v1/app/report`).
public struct Report: Codable, Hashable, Sendable {
    public enum Kind: Codable, Hashable, Sendable {
        case appStart(versionCode: Int)
        case download(running: Int, version: Int, code: Int)
        case upgrade(running: Int, version: Int, code: Int)
    }

    /// The codes that the agent sends. The API defines only 0, which is success.
    public enum Code {
        public static let success = 0
        public static let refused = 1
        public static let gone = 2
        public static let rolledBack = 3
        public static let failed = 4
    }

    public var kind: Kind
    /// When the event happened.
    public var time: WallTime

    public init(kind: Kind, time: WallTime) {
        self.kind = kind
        self.time = time
    }
}

/// The reports that wait to be sent. They are stored, and dropped after ``maximumTries``. They never delay an update.
public struct ReportQueue: Codable, Hashable, Sendable {
    public struct Entry: Codable, Hashable, Sendable {
        public var id: Int
        public var report: Report
        public var tries: Int
        /// The entry is not sent before this moment; nil: at once.
        public var due: BootInstant?

        enum CodingKeys: String, CodingKey { case id, report, tries, due }
    }

    public static let capacity = 32
    public static let maximumTries = 10
    /// A stored id above it is damage, and must not overflow when it is counted on.
    static let highestID = Int(clamping: (1 as Int64) << 53)

    public private(set) var entries: [Entry] = []
    public private(set) var nextID = 1
    /// No entry is sent before this moment, because a request failed.
    public var notBefore = BootInstant(0)
    /// The id of the entry that a worker sends now. Not stored: after a restart the agent sends the entry again.
    public private(set) var sending: Int?

    enum CodingKeys: String, CodingKey { case entries, nextID, notBefore }

    public init() {}

    init(_ entries: [Entry], nextID: Int, notBefore: BootInstant) {
        (self.entries, self.nextID, self.notBefore) = (entries, nextID, notBefore)
    }

    public var isEmpty: Bool { entries.isEmpty }

    /// The oldest entry that is due.
    func next(_ now: BootInstant) -> Entry? {
        guard sending == nil, notBefore <= now else { return nil }
        return entries.first { ($0.due ?? now) <= now }
    }

    /// When ``next(_:)`` has an entry; nil while a worker sends one, and if the queue is empty.
    var wakeUp: BootInstant? {
        guard sending == nil else { return nil }
        return entries.map { max($0.due ?? notBefore, notBefore) }.min()
    }

    /// A start replaces an earlier start that has not been sent. A full queue drops its oldest entry.
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

    /// Counts a failed try. Returns the entry if it is dropped.
    mutating func failed(_ id: Int) -> Entry? {
        sending = nil
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
        entries[index].tries += 1
        return entries[index].tries >= Self.maximumTries ? entries.remove(at: index) : nil
    }

    mutating func forgetWorker() { sending = nil }

    /// Entries of another boot are sent at this moment.
    mutating func putOff(to moment: BootInstant) {
        notBefore = moment
        for index in entries.indices { entries[index].due = nil }
    }
}
