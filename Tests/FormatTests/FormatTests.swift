import DeviceChecks
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Agent
@testable import Fetch
@testable import Installation

/// This version reads all files that earlier releases stored (Tests/Formats), and they can read the files of this version.
@Suite struct FormatTests {
    static let directory = "\(repositoryDirectory)/Tests/Formats"

    /// A stored file of a release.
    struct Sample: Sendable, CustomTestStringConvertible {
        let release: String
        let kind: String
        let name: String
        let bytes: [UInt8]
        /// The values that must be read.
        let expected: JSONValue

        var testDescription: String { "\(release)/\(kind)/\(name)" }
    }

    static func samples(_ kind: String) -> [Sample] {
        let releases = ((try? Files.list(directory)) ?? []).filter { $0.first?.isNumber == true }
        return releases.flatMap { release -> [Sample] in
            let path = "\(directory)/\(release)"
            guard let table = try? JSONValue(Files.read("\(path)/expected.json", limit: 1 << 20)) else { return [] }
            return ((try? Files.list("\(path)/\(kind)")) ?? []).compactMap { name in
                guard let bytes = try? Files.read("\(path)/\(kind)/\(name)", limit: 1 << 20) else { return nil }
                return Sample(
                    release: release, kind: kind, name: name, bytes: bytes, expected: table[kind]?[name] ?? .null)
            }
        }
    }

    @Test(arguments: [
        ("state", 60), ("inbox", 6), ("identity", 2), ("installation", 60), ("staging", 9), ("attempts", 12),
        ("note", 5), ("floor", 2),
    ])
    func thereAreSamplesOfEveryKind(kind: String, count: Int) {
        let samples = Self.samples(kind)
        #expect(samples.count >= count)
        for sample in samples { #expect(sample.expected != .null, "\(sample.testDescription) has an expectation") }
    }

    // MARK: a newer version reads what an older one wrote

    @Test(arguments: samples("state"))
    func theStateIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(AgentState.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        #expect(Survivors(found.value).json == sample.expected)
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("inbox"))
    func theInboxIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(Offer.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        #expect(.integer(found.value.versionCode) == sample.expected["versionCode"])
        #expect(.text(found.value.upgradeType.word) == sample.expected["upgradeType"])
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("identity"))
    func theDevKeyIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(Identity.Memory.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        #expect(.list(found.value.address.map { .integer(Int($0)) }) == sample.expected["address"])
        #expect(found.value.interface.map { .text($0) } ?? .null == sample.expected["interface"])
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("installation"))
    func theRecordIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(InstallRecord.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        #expect(.integer(Int(found.value.job.id)) == sample.expected["id"])
        #expect(.integer(found.value.job.offer.versionCode) == sample.expected["versionCode"])
        #expect((found.value.module == nil) == (sample.release == "0.1.0"), "0.1.0 did not name the module")
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("staging"))
    func theStagingMetadataIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(PartialFile.Note.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("attempts"))
    func theAttemptsAreRead(sample: Sample) throws {
        let found = try StoredFile.decode(InstallAttempts.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        let counts = found.value.versions.map {
            JSONValue.list([.integer($0.versionCode), .integer($0.attempts), .integer($0.reboots)])
        }
        #expect(.list(counts) == sample.expected["versions"])
        if let resets = sample.expected["resets"] {
            #expect(.list(found.value.versions.map { .integer($0.resets) }) == resets)
        }
        if let total = sample.expected["total"] { #expect(.integer(found.value.total) == total) }
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("floor"))
    func theFloorIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(VersionFloor.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        let floors = found.value.floors.map { JSONValue.list([.text($0.urlKey), .integer($0.versionCode)]) }
        #expect(.list(floors) == sample.expected["floors"])
        try expectOlderVersionsCanRead(found.value, sample)
    }

    @Test(arguments: samples("note"))
    func theNoteInTheFileTreeIsRead(sample: Sample) throws {
        let found = try StoredFile.decode(FileTree.Note.self, from: sample.bytes)
        #expect(found.unreadable.isEmpty)
        #expect(.integer(Int(found.value.id)) == sample.expected["id"])
        #expect(.integer(found.value.offer.versionCode) == sample.expected["versionCode"])
        #expect(.text(found.value.module) == sample.expected["module"])
        try expectOlderVersionsCanRead(found.value, sample)
    }

    /// Older versions ignore unknown fields, and require every field that they wrote themselves.
    private func expectOlderVersionsCanRead(_ value: some Encodable, _ sample: Sample) throws {
        let written = try JSONValue(StoredFile.encode(value))
        let before = try JSONValue(sample.bytes)
        #expect(written.contains(before), "\(sample.testDescription): \(written) lacks something of \(before)")
        #expect(written["format"] == .integer(StoredFormat.current))
    }

    // MARK: an older version reads what a newer one wrote

    /// The values that must be read even if other fields are unknown.
    struct Survivors: Hashable {
        var json: JSONValue
        private(set) var byName: [String: JSONValue] = [:]

        init(_ state: AgentState) {
            byName = [
                "trials": .integer(state.trials.count), "rejected": .list(state.rejected.map { .integer($0) }),
                "history": .integer(state.history.count), "reports": .integer(state.reports.entries.count),
                "lastError": state.lastError.map { .text($0) } ?? .null,
                "versionCode": state.work.map { .integer($0.offer.versionCode) } ?? .null,
                "urlKey": state.work.map { .text($0.offer.urlKey) } ?? .null,
                "urlPath": state.work.map { .text($0.offer.urlPath) } ?? .null,
                "deferrals": state.work.map { .integer($0.deferrals) } ?? .null,
                "step": state.work.map { .text($0.step.word) } ?? .text("idle"),
                "trouble": state.work?.step.transientError.map { .text($0.word) } ?? .null,
                "mood": .text(state.poll.outcome.word),
            ]
            json = .object(byName)
        }
    }

    /// Each field in turn is missing, has another type, or has an unknown case: only this field is lost.
    @Test(arguments: samples("state"))
    func anUnreadableFieldOfTheStateLosesOnlyItself(sample: Sample) throws {
        let original = try JSONValue(sample.bytes)
        let before = Survivors(try StoredFile.decode(AgentState.self, from: sample.bytes).value)
        for path in original.paths {
            for change in [nil, JSONValue.object(["laterCase": .object(["_0": .text("x")])]), .text("later"), .null] {
                let bytes = try original.replacing(path[...], with: change).bytes
                let state = try #require(
                    try? StoredFile.decode(AgentState.self, from: bytes).value, "\(path) \(String(describing: change))")
                let after = Survivors(state)
                for (name, value) in before.byName where !Self.mayChange(name, path) {
                    #expect(after.byName[name] == value, "\(name) with \(path) = \(String(describing: change))")
                }
            }
        }
    }

    /// Whether a change at this path may change this value.
    private static func mayChange(_ name: String, _ path: [String]) -> Bool {
        let isPartOf = { (fields: [String]) in fields.starts(with: path) || path.starts(with: fields) }
        return switch name {
        case "trials", "history", "lastError", "rejected": path[0] == name
        case "reports": isPartOf(["reports", "entries"])
        case "deferrals": isPartOf(["work", "deferrals"]) || isEssential(path)
        case "step", "trouble": isPartOf(["work", "step"]) || isEssential(path)
        case "mood": isPartOf(["poll", "mood"])
        default: isEssential(path)
        }
    }

    /// An offer without one of these fields is invalid.
    private static func isEssential(_ path: [String]) -> Bool {
        [["work"], ["work", "offer"]].contains(path)
            || ["urlKey", "versionCode", "urlPath"].contains { path.starts(with: ["work", "offer", $0]) }
    }

    @Test(arguments: samples("state"))
    func unknownFieldsAreIgnored(sample: Sample) throws {
        var text = String(decoding: sample.bytes, as: UTF8.self)
        text.replace("{", with: "{\"laterField\":{\"laterCase\":[1,null,\"x\"]},", maxReplacements: .max)
        text.replace(",}", with: "}")
        let later = try StoredFile.decode(AgentState.self, from: Array(text.utf8)).value
        // A field next to an enum's case makes that case unreadable; structures are not affected.
        let before = Survivors(try StoredFile.decode(AgentState.self, from: sample.bytes).value)
        for (name, value) in before.byName where !["step", "trouble", "mood", "reports"].contains(name) {
            #expect(Survivors(later).byName[name] == value, "\(name)")
        }
    }

    /// A newer version stored an unknown step: the offer is kept, and an installation that has begun is resumed.
    @Test func anUnknownStepKeepsTheOffer() throws {
        let sample = try #require(Self.samples("state").first { $0.name == "installing.json" })
        let original = try JSONValue(sample.bytes)
        func step(_ value: JSONValue) throws -> Work.Step? {
            let bytes = try original.replacing(["work", "step"], with: value).bytes
            return try StoredFile.decode(AgentState.self, from: bytes).value.work?.step
        }
        #expect(try step(.object(["laterStep": .object([:])])) == .ready)
        #expect(try step(.object(["laterStep": .object(["_0": .integer(77), "x": .text("y")])])) == .installing(77))
        let later = JSONValue.object([
            "later": .object(["at": .object(["seconds": .integer(5)]), "why": .object(["laterReason": .object([:])])])
        ])
        guard case .later(let at, _)? = try step(later) else {
            Issue.record("it does not wait")
            return
        }
        #expect(at == BootInstant(5))
    }

    /// An unknown step of an installation leads to a rollback, and an unknown result is not a success.
    @Test(arguments: samples("installation"))
    func anUnknownStepOfTheRecordLeadsToARollback(sample: Sample) throws {
        let original = try JSONValue(sample.bytes)
        let before = try StoredFile.decode(InstallRecord.self, from: sample.bytes).value
        for path in original.paths where path[0] != "job" {
            for change in [nil, JSONValue.object(["laterCase": .object([:])]), .text("later")] {
                let bytes = try original.replacing(path[...], with: change).bytes
                let record = try #require(
                    try? StoredFile.decode(InstallRecord.self, from: bytes).value,
                    "\(path) \(String(describing: change))")
                #expect(record.job == before.job)
                if before.result != .committed { #expect(record.result != .committed) }
                if path == ["step"], before.result == nil {
                    #expect(record.step == .askSupportsRollback && record.failure != nil, "\(path)")
                }
                if path == ["result"], change != nil { #expect(record.result != nil && record.result != .committed) }
            }
        }
    }

    // MARK: limits

    /// Even with the longest texts of a hostile server in every field, a stored file is not longer than its reader accepts.
    @MainActor @Test func noStoredFileIsTooLongForItsReader() throws {
        // Each character has eight code points, seven of them of four bytes in UTF-8.
        let long = String(repeating: "e" + String(repeating: "\u{1D165}", count: 7), count: 5000)
        let quotes = String(repeating: "\"\\/", count: 50_000)
        for text in [long, quotes] {
            let fields = OfferFields(
                urlKey: "k", versionName: text, versionCode: 2,
                urlPath: "http://h/" + String(repeating: "/", count: 4000), upgradeType: 1, promptUpgradeContent: text)
            let offer = try Offer(fields, respondingTo: CheckRequest(urlKey: "k", versionCode: 1))
            let scratch = try Scratch()
            #expect(try Inbox("\(scratch.path)/offer.json").store(offer) == offer)
            #expect(Inbox("\(scratch.path)/offer.json").read() == offer)
            var store = Store(directory: scratch.path)
            let state = Self.fullState(offer, text)
            try store.save(state)
            let loaded = try store.load()
            #expect(loaded.damage == nil)
            // Whether a worker is running is not stored.
            #expect(try StoredFile.encode(loaded.state) == StoredFile.encode(state))
            let job = InstallJob(
                id: .max, offer: offer, sidecar: String(quotes.prefix(maximumSidecarBytes)))
            var record = InstallRecord(job: job, bootID: "b", module: "m")
            record.failure = text.sanitized(limit: 1000)
            record.result = .failed(text.sanitized(limit: 1000))
            try StoredFile.write(record, to: "\(scratch.path)/r", limit: maximumMessageBytes)
            #expect(
                try StoredFile.read(InstallRecord.self, from: "\(scratch.path)/r", limit: maximumMessageBytes)?.value
                    == record)
        }
    }

    /// A state after events from other processes, with this text in all of them.
    nonisolated private static func fullState(_ offer: Offer, _ text: String) -> AgentState {
        let policy = Policy(
            schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 0.1, backOffCap: 1), urlKey: "k",
            downloadBeforeConsent: true, maximumAttempts: 100)
        func context(_ second: Int) -> Context {
            Context(
                now: BootInstant(Double(second)), bootID: "b", wallClock: WallTime(unixSeconds: 1_800_000_000),
                buildTime: WallTime(unixSeconds: 1_700_000_000), installed: .known(versionCode: 1, versionName: text),
                policy: policy, seed: UInt64(second))
        }
        var state = AgentState()
        for round in 0..<60 {
            let second = round * 100_000
            for event: Event in [
                .started(found: nil), .checked(CheckReport(response: .offer(offer))),
                .downloaded(versionCode: 2, .refused(text)),
                .checked(CheckReport(response: .transientError(.network(text)))),
                .downloaded(versionCode: 2, .transientError(.server(status: 500, detail: text, retryAfter: nil))),
            ] { (state, _) = reduce(state, event, context(second)) }
        }
        return state
    }

    /// A value that is longer than its reader accepts is refused, and nothing is written.
    @Test func aValueThatIsTooLongIsRefused() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/file"
        try StoredFile.write(["text": "short"], to: path, limit: 100)
        #expect(throws: SystemError.self) {
            try StoredFile.write(["text": String(repeating: "x", count: 100)], to: path, limit: 100)
        }
        #expect(try Files.read(path, limit: 100) == Array(#"{"format":2,"text":"short"}"#.utf8))
    }
}

extension Poll.Outcome {
    fileprivate var word: String {
        switch self {
        case .never: "never"
        case .succeeded: "answered"
        case .failing: "troubled"
        case .misconfigured: "misconfigured"
        }
    }
}

extension TransientError {
    fileprivate var word: String {
        switch self {
        case .rateLimited: "rateLimited"
        case .server: "server"
        case .network: "network"
        case .tls: "tls"
        case .unreadable: "unreadable"
        case .worker: "worker"
        case .file: "file"
        }
    }
}

extension Work.Step {
    fileprivate var transientError: TransientError? {
        if case .later(_, .transientError(let error)) = self { error } else { nil }
    }

    /// As expected.json has it.
    fileprivate var word: String {
        switch self {
        case .downloading: "downloading"
        case .consent: "consent"
        case .ready: "ready"
        case .installing: "installing"
        case .rebootReady: "restartReady"
        case .rebooting: "restarting"
        case .later(_, let why):
            switch why {
            case .transientError: "later.trouble"
            case .noSpace: "later.noSpace"
            case .noKeys: "later.noKeys"
            case .failed: "later.failed"
            case .cancelled: "later.cancelled"
            case .installerLost: "later.installerLost"
            case .rebootRefused: "later.restartRefused"
            case .interrupted: "later.interrupted"
            }
        }
    }
}
