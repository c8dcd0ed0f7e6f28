import Systemd
import Testing
import UpdateCore

@testable import Agent

/// Whether a session of logind counts as in use.
@MainActor struct LoginSessionTests {
    private func use(_ properties: [String: BusValue]) -> Logins.Use? {
        LoginSession(properties, now: BootInstant(1000), monotonic: 900_000_000)?.login.use
    }

    /// A user interface may run in the session of `agetty --autologin`: what the terminal knows says nothing about it.
    @Test func aTerminalOfTheDeviceSaysNothingAboutItsUser() {
        var session: [String: BusValue] = [
            "Class": .string("user"), "Type": .string("tty"), "VTNr": .uint32(1), "IdleHint": .boolean(true),
            "IdleSinceHintMonotonic": .uint64(100_000_000),
        ]
        #expect(use(session) == .unknown)
        // A login over the network has a terminal that is no VT: logind reports its last use.
        session["VTNr"] = .uint32(0)
        #expect(use(session) == .idle(since: BootInstant(200)))
        session["IdleHint"] = .boolean(false)
        #expect(use(session) == .idle(since: BootInstant(200)))
    }

    @Test func aGraphicalSessionReportsItself() {
        var session: [String: BusValue] = [
            "Class": .string("user"), "Type": .string("wayland"), "VTNr": .uint32(1), "IdleHint": .boolean(false),
            "IdleSinceHintMonotonic": .uint64(0),
        ]
        #expect(use(session) == .unknown)
        session["IdleSinceHintMonotonic"] = .uint64(100_000_000)
        #expect(use(session) == .active)
        session["IdleHint"] = .boolean(true)
        #expect(use(session) == .idle(since: BootInstant(200)))
    }

    /// The clocks are read one after the other.
    @Test func aSessionThatWasUsedJustNowIsIdleSinceNow() {
        let session: [String: BusValue] = [
            "Class": .string("user"), "Type": .string("wayland"), "IdleHint": .boolean(true),
            "IdleSinceHintMonotonic": .uint64(900_000_001),
        ]
        #expect(use(session) == .idle(since: BootInstant(1000)))
    }

    /// Only without logind is it certain that it has no users.
    @Test func aLogindThatDoesNotAnswerSaysNothing() {
        for name in ["ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound", "FileNotFound"] {
            #expect(LoginQuery.logins(without: BusError("org.freedesktop.DBus.Error.\(name)", "")) == Logins())
        }
        for name in ["NoReply", "Timeout", "AccessDenied", "LimitsExceeded", "Disconnected", "Spawn.ChildExited"] {
            #expect(LoginQuery.logins(without: BusError("org.freedesktop.DBus.Error.\(name)", "")) == nil)
        }
        #expect(LoginQuery.logins(without: BusError("org.freedesktop.systemd1.UnitMasked", "")) == Logins())
    }

    @Test func whatNoUserSitsAtIsNoSession() {
        for kind in ["background", "manager", "none"] { #expect(use(["Class": .string(kind)]) == nil) }
        #expect(use(["Class": .string("user"), "State": .string("closing")]) == nil)
    }
}
