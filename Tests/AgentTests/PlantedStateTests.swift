import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// Something else is in place of the agent's state: it is set aside, and the agent starts afresh, without waiting.
@Suite(.timeLimit(.minutes(1))) struct PlantedStateTests {
    @MainActor @Test(arguments: Planted.allCases) func theStateIsSetAside(planted: Planted) throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/state.json"
        try planted.plant(at: path)
        try planted.plant(at: path + ".damaged")
        var store = Store(directory: scratch.path)
        let (state, damage) = try store.load()
        #expect(state == AgentState())
        // A dangling link is no file: the new state replaces it.
        #expect((damage == nil) == (planted == .danglingLink), "\(String(describing: damage))")
        try store.save(state)
        #expect(try store.load().damage == nil)
    }

    /// A number in the file may have any value. Each one in turn, in every state that a release has stored.
    @MainActor @Test func noStoredNumberEndsTheAgent() async throws {
        let directory = "\(repositoryDirectory)/Tests/Formats/0.2.0/state"
        var count = 0
        var seen: [Substring: Int] = [:]
        for name in try Files.list(directory) {
            let text = String(decoding: try Files.read("\(directory)/\(name)", limit: 1 << 20), as: UTF8.self)
            await Task.yield()
            for (_, field, number) in text.matches(of: /"(\w+)":(?:\{"\w+":)?(-?[0-9][0-9.]*)/).map(\.output) {
                // More states with the same field would only take time.
                seen[field, default: 0] += 1
                if seen[field, default: 0] > 6 { continue }
                for extreme in ["1e300", "-1e300", "\(Int.max)", "\(Int.min)"] {
                    let planted = text.replacingCharacters(in: number, with: extreme)
                    guard let found = try? StoredFile.decode(AgentState.self, from: Array(planted.utf8)) else {
                        continue
                    }
                    try use(found.value)
                    count += 1
                }
            }
        }
        #expect(count > 300 && seen["lastAnswer"] != nil && seen["started"] != nil && seen["serverClock"] != nil)
    }

    /// The same from a worker that was taken over.
    @MainActor @Test(arguments: ["1e300", "-1e300", "9223372036854775807"])
    func noReportedTimeEndsTheAgent(time: String) throws {
        let report = try JSONLine.decode(
            FetchReport.self,
            from: Array(
                #"{"checked":{"_0":{"response":{"latest":{}},"serverClock":{"bootID":"b","atBoot":\#(time)}}}}"#.utf8))
        guard case .checked(let check) = report else {
            Issue.record("another report")
            return
        }
        let (state, effects) = reduce(AgentState(), .checked(check), context(bootID: "b"))
        for case .log(let notice) in effects { #expect(!notice.message.isEmpty) }
        #expect(state.poll.lastResponse != nil)
        try use(state)
    }

    private func context(bootID: String) -> Context {
        Context(
            now: BootInstant(100), bootID: bootID, wallClock: WallTime(unixSeconds: 1_800_000_000),
            buildTime: WallTime(unixSeconds: 1_700_000_000), installed: .known(versionCode: 1, versionName: nil),
            policy: Policy(
                schedule: PollSchedule(interval: 21_600, splay: 1800, backOffBase: 60, backOffCap: 3600),
                urlKey: AgentDevice.urlKey, windows: MaintenanceWindow("Sat,Sun 23:00-06:00").map { [$0] } ?? []),
            seed: 1)
    }

    /// What the agent does at its start and after it, in the same boot and in another one.
    @MainActor private func use(_ stored: AgentState) throws {
        for bootID in [stored.bootID, "another"] {
            let present = context(bootID: bootID)
            var state = stored
            for event in [.started(found: nil), .tick, .checked(CheckReport(response: .latest)), .tick] as [Event] {
                state = reduce(state, event, present).state
                let properties = BusProperties(
                    state, present, status: statusText(state, present), hasError: false, progress: nil, speedLimit: 0)
                #expect(properties.changes(since: properties).isEmpty)
                #expect(state.history.map(\.busValue).count == state.history.count)
                var sources = MetricSources(started: BootInstant(0))
                #expect(!metrics(state, present, &sources).map(\.text).joined().isEmpty)
                _ = nextWakeUp(state, present)
            }
            let again = try StoredFile.decode(AgentState.self, from: StoredFile.encode(state)).value
            #expect(again.history.count == state.history.count)
        }
    }
}

extension String {
    fileprivate func replacingCharacters(in part: Substring, with text: String) -> String {
        String(self[..<part.startIndex]) + text + self[part.endIndex...]
    }
}
