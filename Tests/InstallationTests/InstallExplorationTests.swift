import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// Every state that an installation can come to, breadth first, with the real record: each end of each step, and an
/// interruption, with or without a restart of the device, in each of them.
@Suite struct InstallExplorationTests {
    private struct Place: Hashable {
        var record: InstallRecord
        var isVerified = false
        var reportsVersion = false
        var isHealthy = false
        /// The module began to change the device.
        var isTouched = false
        /// What was there before is there again.
        var isRolledBack = false
    }

    private enum Move: Hashable {
        case end(StepOutcome)
        case interruption(newBoot: Bool)
    }

    private func moves(_ place: Place) -> [Move] {
        let ends: [StepOutcome] =
            switch place.record.step {
            case .prepare: [.succeeded, .failed("no"), .noSpace("full")]
            case .module, .checkVersion, .checkHealth: [.succeeded, .failed("no")]
            case .askNeedsReboot, .askNeedsRebootForRollback:
                [.needsReboot(.no), .needsReboot(.yes), .needsReboot(.automatic), .failed("no")]
            case .askSupportsRollback: [.supportsRollback(true), .supportsRollback(false), .failed("no")]
            case .reboot, .rebootIntoRollback: [.awaitsReboot]
            case .done: []
            }
        return ends.map { .end($0) } + [.interruption(newBoot: false), .interruption(newBoot: true)]
    }

    private func take(_ move: Move, _ place: Place) -> Place {
        var place = place
        switch move {
        case .end(let outcome):
            switch (place.record.step, outcome) {
            case (.prepare, .succeeded): place.isVerified = true
            case (.checkVersion, .succeeded): place.reportsVersion = true
            case (.checkHealth, .succeeded): place.isHealthy = true
            case (.module(.rollback), .succeeded): place.isRolledBack = true
            default: break
            }
            place.record.advance(outcome)
        case .interruption(let newBoot):
            place.record.resume(bootID: newBoot ? "next" : "this")
            place.record.bootID = "this"
        }
        if place.record.step == .module(.install) { place.isTouched = true }
        // Of reasons only that there is one counts, of interruptions only what they are compared to.
        place.record.interruptions = min(place.record.interruptions, InstallRecord.maximumInterruptions + 1)
        place.record.failure = place.record.failure.map { _ in "no" }
        return place
    }

    private func complaint(_ place: Place) -> String? {
        let record = place.record
        if record.step == .module(.install), !place.isVerified { return "installs what was not verified" }
        if record.step == .module(.commit), !place.reportsVersion || !place.isHealthy {
            return "commits what the device does not report, or what is not healthy"
        }
        if place.isRolledBack, record.step == .module(.commit) { return "commits after the way back" }
        switch record.result {
        case .committed?: return record.failure == nil && !place.isRolledBack ? nil : "committed what had failed"
        case .rolledBack?: return place.isTouched && !place.isRolledBack ? "says it is rolled back, and is not" : nil
        case .refused?, .noSpace?: return place.isTouched ? "refuses what was begun" : nil
        default: return nil
        }
    }

    @Test func everyInstallationComesToAnEndThatIsTrue() throws {
        let job = InstallJob(id: 1, offer: try InstallerDevice.offer(2), sidecar: nil)
        let first = Place(record: InstallRecord(job: job, bootID: "this"))
        var seen = [first: 0]
        var queue = [first]
        var ways: [[Int]] = [[]]
        var transitions = 0
        var next = 0
        while next < queue.count {
            let place = queue[next]
            if let complaint = complaint(place) { Issue.record("it \(complaint): \(place)") }
            for move in moves(place) {
                let after = take(move, place)
                transitions += 1
                let index = seen[after] ?? queue.count
                if index == queue.count {
                    seen[after] = index
                    queue.append(after)
                    ways.append([])
                    try #require(index < 500_000)
                }
                ways[index].append(next)
            }
            next += 1
        }
        var ends = Set(queue.indices.filter { queue[$0].record.result != nil })
        #expect(!ends.isEmpty)
        var front = Array(ends)
        while let index = front.popLast() {
            for before in ways[index] where ends.insert(before).inserted { front.append(before) }
        }
        #expect(ends.count == queue.count, "there are states without a way to an end")
        print("explored the installer: \(queue.count) states, \(transitions) transitions")
    }
}
