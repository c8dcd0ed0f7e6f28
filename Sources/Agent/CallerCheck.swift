import Glibc
import Host
import Systemd
import UpdateCore

/// Decides which callers may call the methods that modify something. It asks the bus and polkit through a connection of its own,
/// which takes neither calls nor descriptors: dbus-daemon drops its own replies to a connection whose queue is full.
final class CallerCheck {
    enum Decision {
        case allowed(Caller)
        case denied(Caller)
        /// Too many calls wait, or the caller could not be identified; the caller may try again.
        case busy(Caller?, String)
    }

    private let connection: BusConnection
    private let processes: String
    private var waiting = WaitingCalls()

    private static let driver = "org.freedesktop.DBus"
    private static let polkit = "org.freedesktop.PolicyKit1"

    /// - Parameter processes: the directory that contains each process's directory, with names of the programs.
    init(processes: String, onLoss: @escaping (BusError) -> Void) throws(BusError) {
        self.processes = processes
        connection = try BusConnection(acceptsDescriptors: false, onLoss: onLoss)
        connection.process()
    }

    /// Calls wait in the bus while too many callers are being identified: that takes some milliseconds.
    var mayTakeCalls: Bool { waiting.mayBegin }

    /// Ends the connection. The calls that wait are refused.
    func close() { connection.close() }

    func check(_ call: BusCall, then done: @escaping (Decision) -> Void) {
        let sender = call.sender
        guard waiting.begin(connection: sender) else {
            return done(.busy(nil, "too many calls wait for authorization"))
        }
        connection.bus.call(
            Self.driver, "/org/freedesktop/DBus", Self.driver, "GetConnectionCredentials", [.string(sender)]
        ) { [weak self] result in
            MainActor.assumeIsolated {
                guard let self else { return }
                self.waiting.end(connection: sender)
                guard case .success(let values) = result,
                    let caller = Caller(values.first?.fields ?? [:], processes: self.processes)
                else { return done(.busy(nil, "the bus does not say who the caller is")) }
                if self.isAllowed(caller) { return done(.allowed(caller)) }
                self.askPolkit(call, caller, then: done)
            }
        }
        connection.flush()
    }

    private func isAllowed(_ caller: Caller) -> Bool {
        caller.uid == 0 || caller.uid == UInt64(geteuid())
            || Groups.contains(uid: caller.uid, groups: caller.groups, name: BusInterface.group)
    }

    /// Without polkit, the call is denied.
    private func askPolkit(_ call: BusCall, _ caller: Caller, then done: @escaping (Decision) -> Void) {
        guard waiting.begin(user: caller.uid) else {
            return done(.busy(caller, "too many calls wait for authorization"))
        }
        let subject = BusValue.structure([
            .string("system-bus-name"), .dictionary([("name", .string(call.sender))]),
        ])
        connection.bus.call(
            Self.polkit, "/org/freedesktop/PolicyKit1/Authority", "\(Self.polkit).Authority", "CheckAuthorization",
            [
                subject, .string(BusInterface.polkitAction), .array(of: "{ss}", []),
                .uint32(call.allowsInteraction ? 1 : 0), .string(""),
            ], timeout: 120
        ) { [weak self] result in
            MainActor.assumeIsolated {
                self?.waiting.end(user: caller.uid)
                guard case .success(let values) = result, values.first?.items?.first?.flag == true else {
                    return done(.denied(caller))
                }
                done(.allowed(caller))
            }
        }
        connection.flush()
    }
}
