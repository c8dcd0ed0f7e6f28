import Testing
import UpdateCore

@testable import Agent

@Suite struct WakeUpTests {
    private func delay(until next: Double?, isStored: Bool = true) -> Double? {
        WakeUp.delay(until: next.map { BootInstant($0) }, now: BootInstant(100), isStored: isStored)
    }

    @Test func theAgentSleepsUntilSomethingIsDue() {
        #expect(delay(until: 130) == 30)
        #expect(delay(until: nil) == nil)
        #expect([100, 99, 0].map { delay(until: $0) } == [0.01, 0.01, 0.01])
        #expect(delay(until: 100.5) == 0.5)
    }

    /// What is due cannot happen before the state can be stored: no busy loop on a full disk.
    @Test func aFailingDiskIsTriedAgainAtIntervals() {
        for next in [nil, 0, 100, 101, 10_000] as [Double?] { #expect(delay(until: next, isStored: false) == 10) }
    }
}
