import FoundationEssentials
import TestSupport
import Testing

@testable import UpdateCore

/// Invariants that hold for random events in random order.
@Suite struct PropertyTests {
    /// Per seed: the eight seeds have a million together.
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
            if case .downloaded(let code, .verified, _) = step.event, step.before.state.work?.offer.versionCode == code
            {
                verified.insert(code)
            }
            for effect in world.effects {
                switch effect {
                case .install(let job):
                    check(verified.contains(job.offer.versionCode), "step \(number): an unverified installation")
                    check(job.offer.versionCode > (world.installed.versionCode ?? 0), "step \(number): not newer")
                    check(world.state.work?.hasConsent == true, "step \(number): no consent")
                case .check:
                    check(world.state.work?.mayCheck ?? true, "step \(number): a poll while an offer was in progress")
                case .download(let offer):
                    // Another field of the offer may have been refreshed while its file is downloaded.
                    let wanted = world.state.work?.offer
                    check(
                        wanted?.versionCode == offer.versionCode && wanted?.urlPath == offer.urlPath,
                        "step \(number): another download")
                case .stopDownload, .resumeInstall, .reboot, .cancelInstall, .forgetAttempts, .announce, .send,
                    .emptyInbox,
                    .cleanStaging, .log:
                    break
                }
            }
            // The agent always has a next wake-up, a running worker, or an inhibitor or a consent to wait for.
            let isDelayed =
                !world.inhibitors.isEmpty
                || world.state.work.map { world.context.delay($0, world.state) } == .some(.rebootConsent)
            let hasWorker = isDelayed || world.state.poll.isRunning || !(world.state.work?.isWaiting ?? true)
            check(hasWorker || nextWakeUp(world.state, world.context) != nil, "step \(number): stuck")
            check(world.state.reports.entries.count <= ReportQueue.capacity, "step \(number): too many reports")
            check(world.state.trials.count <= Trial.remembered, "step \(number): too many trials")
            check(world.state.history.count <= Attempt.remembered, "step \(number): too long a history")
        }
        return findings
    }

    /// A field that is not encoded would be lost when the agent restarts.
    @Test func everyStateSurvivesItsEncoding() throws {
        var steps: Set<String> = []
        var failure: (any Error)?
        RandomWorld(seed: 4711).run(steps: 3000) { step in
            var expected = step.after.state
            // No worker runs after a restart.
            expected.poll.isRunning = false
            expected.installsAtBoot = false
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
        #expect(steps == ["downloading", "consent", "ready", "installing", "rebootReady", "rebooting", "later"])
    }
}
