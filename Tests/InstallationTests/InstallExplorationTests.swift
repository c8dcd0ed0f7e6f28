import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// Explores every state of an installation, breadth first, with the real record: each outcome of each step, and an interruption
/// with or without a reboot in each state.
@Suite struct InstallExplorationTests {
    private struct Node: Hashable {
        var record: InstallRecord
        var isVerified = false
        var reportsVersion = false
        var isHealthy = false
        /// The module has begun to modify the device.
        var isModified = false
        /// The module said in its last state that it had changed nothing.
        var isPostponed = false
        /// The previous version is installed again.
        var isRolledBack = false
    }

    private enum Move: Hashable {
        case end(StepOutcome)
        case interruption(newBoot: Bool)
        /// The installer is told to stop, and the installation is resumed.
        case stop(inTheMiddle: Bool, newBoot: Bool)
        case cancel
    }

    private func moves(_ node: Node) -> [Move] {
        let ends: [StepOutcome] =
            switch node.record.step {
            case .prepare: [.succeeded, .failed("no"), .noSpace("full")]
            case .module: [.succeeded, .failed("no"), .postponed("locked")]
            case .checkVersion, .checkHealth, .restartUnits, .restartUnitsForRollback: [.succeeded, .failed("no")]
            case .askNeedsReboot, .askNeedsRebootForRollback:
                [.needsReboot(.no), .needsReboot(.yes), .needsReboot(.automatic), .failed("no")]
            case .askSupportsRollback: [.supportsRollback(true), .supportsRollback(false), .failed("no")]
            case .reboot, .rebootIntoRollback: [.awaitsReboot]
            case .done: []
            }
        let stops = [true, false].flatMap { middle in
            [true, false].map { Move.stop(inTheMiddle: middle, newBoot: $0) }
        }
        return ends.map { .end($0) } + [.interruption(newBoot: false), .interruption(newBoot: true)]
            + (node.record.step == .done ? [] : stops + [.cancel])
    }

    private func apply(_ move: Move, _ node: Node) -> Node {
        var node = node
        switch move {
        case .end(let outcome):
            switch (node.record.step, outcome) {
            case (.prepare, .succeeded): node.isVerified = true
            case (.checkVersion, .succeeded): node.reportsVersion = true
            case (.checkHealth, .succeeded): node.isHealthy = true
            case (.module(.rollback), .succeeded): node.isRolledBack = true
            case (.module(.install), .postponed) where node.record.failure == nil: node.isPostponed = true
            default: break
            }
            node.record.advance(outcome)
        case .cancel: _ = node.record.cancel()
        case .stop(let inTheMiddle, let newBoot):
            if inTheMiddle, node.record.step == .prepare { return node }
            node.record.stop(inTheMiddle: inTheMiddle)
            node.record.resume(bootID: newBoot ? "next" : "this")
            node.record.bootID = "this"
        case .interruption(let newBoot):
            node.record.resume(bootID: newBoot ? "next" : "this")
            node.record.bootID = "this"
        }
        if node.record.step == .module(.install) { node.isModified = true }
        // The text of a reason and some numbers do not matter: fewer states remain.
        node.record.stops = nil
        // After a failure, the version would have to be checked again.
        if node.record.failure != nil, node.record.result == nil {
            (node.reportsVersion, node.isHealthy) = (false, false)
        }
        node.record.interruptions = min(node.record.interruptions, InstallRecord.maximumInterruptions + 1)
        node.record.failure = node.record.failure.map { _ in "no" }
        return node
    }

    private func complaint(_ node: Node) -> String? {
        let record = node.record
        if record.step == .module(.install), !node.isVerified { return "installs what was not verified" }
        if record.step == .module(.commit), !node.reportsVersion || !node.isHealthy {
            return "commits what the device does not report, or what is not healthy"
        }
        if node.isRolledBack, record.step == .module(.commit) { return "commits after a rollback" }
        switch record.result {
        case .committed?: return record.failure == nil && !node.isRolledBack ? nil : "committed what had failed"
        case .rolledBack?: return node.isModified && !node.isRolledBack ? "says it is rolled back, and is not" : nil
        case .interrupted?:
            let isUnchanged = !node.isModified || node.isRolledBack || node.isPostponed
            return isUnchanged && record.isExcused == true ? nil : "says that nothing was changed"
        case .refused?, .noSpace?: return node.isModified ? "refuses an installation that has begun" : nil
        default: return nil
        }
    }

    @Test func everyInstallationEndsWithATrueResult() throws {
        let job = InstallJob(id: 1, offer: try InstallerDevice.offer(2), sidecar: nil)
        let first = Node(record: InstallRecord(job: job, bootID: "this"))
        var seen = [first: 0]
        var queue = [first]
        var predecessors: [[Int]] = [[]]
        var transitions = 0
        var next = 0
        while next < queue.count {
            let node = queue[next]
            if let complaint = complaint(node) { Issue.record("it \(complaint): \(node)") }
            for move in moves(node) {
                let after = apply(move, node)
                transitions += 1
                let index = seen[after] ?? queue.count
                if index == queue.count {
                    seen[after] = index
                    queue.append(after)
                    predecessors.append([])
                    try #require(index < 500_000)
                }
                predecessors[index].append(next)
            }
            next += 1
        }
        var ends = Set(queue.indices.filter { queue[$0].record.result != nil })
        #expect(!ends.isEmpty)
        var front = Array(ends)
        while let index = front.popLast() {
            for before in predecessors[index] where ends.insert(before).inserted { front.append(before) }
        }
        #expect(ends.count == queue.count, "some states never reach an end")
        print("explored the installer: \(queue.count) states, \(transitions) transitions")
    }
}
