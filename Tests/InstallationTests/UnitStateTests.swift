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
        #expect(
            complaint(active + ["ActiveEnterTimestampMonotonic=60000000"])
                == "has been active for 0 s only, of 10 s (install.healthSettle)")
        #expect(complaint(active + ["ActiveEnterTimestampMonotonic="]) != nil)
        #expect(complaint(active) != nil)
    }

    @Test func aUnitThatIsNotActiveIsNamedWithItsState() {
        #expect(complaint(["LoadState=not-found", "ActiveState=inactive"]) == "does not exist")
        #expect(
            complaint(["LoadState=loaded", "ActiveState=activating", "ActiveEnterTimestampMonotonic=1"])
                == "is activating")
        #expect(complaint([]) == "has no state")
        for state in ["inactive", "failed", "deactivating", "reloading", "maintenance"] {
            let lines = ["LoadState=loaded", "ActiveState=\(state)", "ActiveEnterTimestampMonotonic=1"]
            #expect(complaint(lines) == "is \(state)")
        }
        // A unit that was active when its file was removed is not there any more.
        #expect(
            complaint(["LoadState=not-found", "ActiveState=active", "ActiveEnterTimestampMonotonic=1"])
                == "does not exist")
    }

    private func absence(_ lines: [String], _ permitted: AgentUnit.Permission = []) -> UnitState.Absence? {
        var state = UnitState()
        (["ActiveState=inactive", "Job=0", "Result=success"] + lines).forEach { state.read($0) }
        return state.absence(permitted)
    }

    /// The agent was stopped, masked or disabled, in contrast to a version that breaks it.
    @Test func aUnitThatTheOperatorDoesNotWantHasNotFailed() {
        let stopped = ["LoadState=loaded", "StatusText=Stopped by a signal", "ExecMainStartTimestampMonotonic=5"]
        #expect(absence(stopped) == .stopped)
        #expect(absence(stopped + ["Job=712"]) == nil, "it is being restarted")
        #expect(absence(stopped + ["Job="]) == .stopped)
        #expect(absence(stopped + ["Result=exit-code"]) == nil, "it failed")
        #expect(absence(stopped + ["ActiveState=failed"]) == nil)
        #expect(absence(stopped + ["StatusText=Up to date (v2, code 2)"]) == nil, "it ended by itself")
        #expect(absence(stopped + ["ConditionResult=no"]) == nil, "its new unit file prevents its start")
        #expect(absence(["LoadState=masked"], .masked) == .masked)
        #expect(absence(["LoadState=masked"]) == nil, "the version came like this")
        let disabled = ["LoadState=loaded", "UnitFileState=disabled", "ExecMainStartTimestampMonotonic=0"]
        #expect(absence(disabled) == nil && absence(disabled, .disabled) == .disabled)
        #expect(absence(disabled + ["ExecMainStartTimestampMonotonic=5"], .disabled) == nil)
        #expect(absence(["LoadState=loaded", "UnitFileState=enabled"], .disabled) == nil)
    }
}
