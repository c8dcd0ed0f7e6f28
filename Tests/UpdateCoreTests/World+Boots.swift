import FoundationEssentials
import Testing

@testable import UpdateCore

extension World {
    /// Advances both clocks and handles a tick.
    mutating func pass(_ seconds: Seconds) {
        now = now + seconds
        wallClock = wallClock + seconds
        handle(.tick)
        // A poll that starts meanwhile receives "latest"; its effects are added to those of the tick.
        if state.poll.isRunning {
            let before = effects
            respond(.latest)
            effects = before + effects
        }
    }

    /// The agent checks, and the server says that nothing is newer. The effects are added to those before.
    mutating func hear() {
        var all = effects
        if !state.poll.isRunning {
            state.poll.next = now
            handle(.tick)
            all += effects
        }
        respond(.latest)
        effects = all + effects
    }

    /// Sleeps until the next wake-up; both clocks advance, and no check gets a response.
    mutating func sleepAlone() {
        guard let wake = nextWakeUp(state, context) else { return }
        let before = now
        now = max(now, wake) + 0.001
        wallClock = wallClock + (now - before)
        handle(.tick)
        if state.poll.isRunning {
            let before = effects
            respond(.transientError(.network("down")))
            effects = before + effects
        }
    }

    /// The device is off for this time, and boots.
    ///
    /// - Parameter clock: what the clock then shows, if not the time.
    mutating func reboot(after seconds: Seconds, clock: WallTime? = nil) {
        bootID += "+"
        wallClock = clock ?? (wallClock + seconds)
        now = BootInstant(20)
        let stored = state
        state = (try? JSONDecoder().decode(AgentState.self, from: JSONEncoder().encode(stored))) ?? AgentState()
        start()
    }

    /// Whether consent is requested after this time, and not before.
    mutating func asks(after seconds: Seconds, within tolerance: Seconds) -> Bool {
        pass(seconds - tolerance)
        guard !asksForConsent else { return false }
        pass(2 * tolerance)
        return asksForConsent
    }

    /// Stores the state as a version does that does not know the new fields.
    mutating func storeWithoutNewFields() throws {
        state.work?.pause = nil
        state.work?.grace = nil
        state.work?.windowWait = nil
    }

    var asksForConsent: Bool {
        effects.contains { if case .announce(.consentWanted) = $0 { true } else { false } }
    }

    var reboots: Bool { effects.contains { if case .reboot = $0 { true } else { false } } }
}
