import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

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

    private func isMissing(_ unit: String, _ lines: [String], _ permitted: AgentUnit.Permission = []) -> Bool {
        var state = UnitState()
        lines.forEach { state.read($0) }
        return HealthCheck.isMissing(unit, state) { permitted }
    }

    /// Only the agent may be absent: an application that was stopped before the update is no unit of the health check.
    @Test func onlyTheAgentMayBeAbsent() {
        let masked = ["LoadState=masked", "ActiveState=inactive"]
        let failed = ["LoadState=loaded", "ActiveState=failed"]
        let stopped = [
            "LoadState=loaded", "ActiveState=inactive", "Job=0", "Result=success", "StatusText=Stopped by a signal",
        ]
        #expect(!isMissing("upgradelinkd.service", stopped) && isMissing("player.service", stopped))
        #expect(isMissing("upgradelinkd.service", failed) && isMissing("player.service", failed))
        #expect(!isMissing("upgradelinkd.service", masked) && !isMissing("player.service", masked))
        #expect(!isMissing("player.service", ["LoadState=loaded", "ActiveState=active"]))
        #expect(!isMissing("player.service", ["LoadState=not-found", "ActiveState=inactive"]))
        #expect(!HealthCheck.isMissing("player.service", nil) { [] })
    }

    /// What is older than the installation came with the version. A device without a clock knows no times.
    @Test func onlyWhatWasChangedSinceThenIsPermitted() throws {
        let scratch = try Scratch()
        try scratch.write("etc/systemd/system/multi-user.target.wants/other.service", "")
        let before = Clock.wallTime + -10
        let after = Clock.wallTime + 1000
        func changes(_ moment: WallTime) -> AgentUnit.Permission {
            AgentUnit.changes(since: moment, root: scratch.path)
        }
        #expect(changes(before) == .disabled && changes(after) == [])
        #expect(symlink("/dev/null", "\(scratch.path)/etc/systemd/system/upgradelinkd.service") == 0)
        #expect(changes(before) == [.disabled, .masked] && changes(after) == [])
        #expect(changes(Clock.buildTime + -1) == [])
        // Masked until the next boot, which no version does.
        try Files.createDirectory("\(scratch.path)/run/systemd/system")
        #expect(symlink("/dev/null", "\(scratch.path)/run/systemd/system/upgradelinkd.service") == 0)
        #expect(changes(after) == .masked)
    }
}
