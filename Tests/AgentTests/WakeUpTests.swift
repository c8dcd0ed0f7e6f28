import Glibc
import Host
import Testing
import UpdateCore

@testable import Agent

@Suite struct WakeUpTests {
    private func delay(until next: Double?, failedAt: Double? = nil) -> Double? {
        let error = SystemError("write", "/x", code: ENOSPC)
        return WakeUp.delay(
            until: next.map { BootInstant($0) }, failedAt.map { StorageFailure(error, now: BootInstant($0)) },
            now: BootInstant(100))
    }

    @Test func theAgentSleepsUntilSomethingIsDue() {
        #expect(delay(until: 130) == 30)
        #expect(delay(until: nil) == nil)
        #expect([100, 99, 0].map { delay(until: $0) } == [0.01, 0.01, 0.01])
        #expect(delay(until: 100.5) == 0.5)
    }

    /// What is due cannot happen before the state can be stored: no busy loop on a full disk, and no wait that becomes longer with
    /// each line of a download's progress.
    @Test func aFailingDiskIsTriedAgainAtIntervals() {
        for next in [nil, 0, 100, 101, 10_000] as [Double?] {
            #expect([100, 97, 90, 80].map { delay(until: next, failedAt: $0) } == [10, 7, 0.01, 0.01])
        }
    }
}
