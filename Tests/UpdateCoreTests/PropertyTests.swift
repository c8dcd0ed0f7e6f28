import FoundationEssentials
import TestSupport
import Testing

@testable import UpdateCore

/// Random events in random order: whatever happens, some things must not.
@Suite struct PropertyTests {
    /// For each of eight seeds: a million together.
    private static let steps = 130_000

    @Test(arguments: [UInt64](1...8))
    func invariantsHoldUnderAnyEvents(seed: UInt64) async throws {
        for finding in try await OwnThread.compute({ Self.findings(seed) }) { Issue.record(Comment(rawValue: finding)) }
        print("properties: seed \(seed), \(Self.steps) steps")
    }

    private static func findings(_ seed: UInt64) -> [String] {
        var findings: [String] = []
        func check(_ condition: Bool, _ what: @autoclosure () -> String) {
            if !condition { findings.append(what()) }
        }
        var verified: Set<Int> = []
        RandomWorld(seed: seed).run(steps: Self.steps) { step in
            let (world, number) = (step.after, step.number)
            if case .downloaded(let code, .verified) = step.event, step.before.state.work?.offer.versionCode == code {
                verified.insert(code)
            }
            for effect in world.effects {
                switch effect {
                case .install(let order):
                    check(verified.contains(order.offer.versionCode), "step \(number): an unverified installation")
                    check(order.offer.versionCode > (world.installed.versionCode ?? 0), "step \(number): not newer")
                    check(world.state.work?.hasConsent == true, "step \(number): nobody consented")
                case .ask:
                    check(world.state.work?.isWaiting ?? true, "step \(number): asked while an offer was worked on")
                case .download(let offer):
                    check(world.state.work?.offer == offer, "step \(number): another download")
                case .stopDownload, .resumeInstall, .restart, .forgetAttempts, .announce, .send, .emptyInbox,
                    .cleanStaging, .log:
                    break
                }
            }
            // Something can always happen: a wake-up, or a worker that is out.
            let isHeld =
                !world.inhibitors.isEmpty
                || world.state.work.map { world.context.hold($0, world.state) } == .some(.restartConsent)
            let hasWorker = isHeld || world.state.poll.isRunning || !(world.state.work?.isWaiting ?? true)
            check(hasWorker || nextWakeUp(world.state, world.context) != nil, "step \(number): stuck")
            check(world.state.reports.entries.count <= ReportQueue.capacity, "step \(number): too many reports")
            check(world.state.trials.count <= Trial.remembered, "step \(number): too many trials")
            check(world.state.history.count <= Attempt.remembered, "step \(number): too long a history")
        }
        return findings
    }

    /// What is stored is all there is after a restart: a field that is not encoded would be lost with the power.
    @Test func everyStateSurvivesItsEncoding() throws {
        var steps: Set<String> = []
        var failure: (any Error)?
        RandomWorld(seed: 4711).run(steps: 3000) { step in
            var expected = step.after.state
            // The workers of before are gone then.
            expected.poll.isRunning = false
            expected.reports.forgetWorker()
            do {
                let stored = try JSONEncoder().encode(step.after.state)
                #expect(try JSONDecoder().decode(AgentState.self, from: stored) == expected)
            } catch {
                failure = error
            }
            if let step = step.after.state.work?.step {
                steps.insert(String("\(step)".prefix { $0.isLetter }))
            }
        }
        if let failure { throw failure }
        #expect(steps == ["downloading", "consent", "ready", "installing", "restartReady", "restarting", "later"])
    }
}
