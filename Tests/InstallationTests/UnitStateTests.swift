import Testing

@testable import Installation

struct UnitStateTests {
    private func complaint(_ lines: [String], now: UInt64 = 60_000_000) -> String? {
        var state = UnitState()
        lines.forEach { state.read($0) }
        return state.complaint(settleTime: 10, now: now)
    }

    @Test func aUnitMustHaveBeenActiveForTheSettleTime() {
        let active = ["LoadState=loaded", "ActiveState=active"]
        #expect(complaint(active + ["ActiveEnterTimestampMonotonic=50000000"]) == nil)
        #expect(
            complaint(active + ["ActiveEnterTimestampMonotonic=55000000"])
                == "has been active for 5 s only, of 10 s (install.healthSettle)")
        #expect(complaint(active + ["ActiveEnterTimestampMonotonic=60000001"]) != nil)
        #expect(complaint(active + ["ActiveEnterTimestampMonotonic="]) != nil)
        #expect(complaint(active) != nil)
    }

    @Test func aUnitThatIsNotActiveIsNamedWithItsState() {
        #expect(complaint(["LoadState=not-found", "ActiveState=inactive"]) == "does not exist")
        #expect(
            complaint(["LoadState=loaded", "ActiveState=activating", "ActiveEnterTimestampMonotonic=1"])
                == "is activating")
        #expect(complaint([]) == "has no state")
    }
}
