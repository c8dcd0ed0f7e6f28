/// A method of the agent's object. A call of anything else is refused before its arguments are read. A test compares the types to
/// packaging/dbus/org.upgradelink.Agent1.xml.
public enum BusMethod: Hashable, CaseIterable, Sendable {
    case check, accept, postpone, reject, cancel, retry, installFile, installDescriptor, inhibit, setSpeedLimit, history
    case get, getAll, set
    case introspect

    public var interface: String {
        switch self {
        case .get, .getAll, .set: "org.freedesktop.DBus.Properties"
        case .introspect: "org.freedesktop.DBus.Introspectable"
        default: BusInterface.name
        }
    }

    public var member: String {
        switch self {
        case .check: "Check"
        case .accept: "Accept"
        case .postpone: "Defer"
        case .reject: "Reject"
        case .cancel: "Cancel"
        case .retry: "Retry"
        case .installFile: "InstallFile"
        case .installDescriptor: "InstallDescriptor"
        case .inhibit: "Inhibit"
        case .setSpeedLimit: "SetSpeedLimit"
        case .history: "History"
        case .get: "Get"
        case .getAll: "GetAll"
        case .set: "Set"
        case .introspect: "Introspect"
        }
    }

    /// The types of the arguments (D-Bus specification, "Type System").
    public var signature: String {
        switch self {
        case .check, .cancel, .history, .introspect: ""
        case .reject, .retry, .setSpeedLimit: "t"
        case .accept: "ts"
        case .postpone: "tt"
        case .installFile, .getAll: "s"
        case .installDescriptor: "hh"
        case .inhibit: "sss"
        case .get: "ss"
        case .set: "ssv"
        }
    }

    /// A line that says what the method takes.
    var usage: String {
        switch self {
        case .check, .cancel, .history, .introspect: "\(member) takes no arguments"
        case .accept: "Accept takes a versionCode (t) and when (s): \"now\" or \"window\""
        case .postpone: "Defer takes a versionCode (t) and seconds (t)"
        case .reject, .retry: "\(member) takes a versionCode (t)"
        case .installFile: "InstallFile takes an absolute path (s)"
        case .installDescriptor: "InstallDescriptor takes the open artifact (h) and its open signature (h)"
        case .inhibit:
            "Inhibit takes what (s), a colon-separated list of download, install and reboot, who (s) and why (s)"
        case .setSpeedLimit: "SetSpeedLimit takes bytes per second (t), 0 for no limit"
        case .get: "Get takes the name of an interface (s) and of a property (s)"
        case .getAll: "GetAll takes the name of an interface (s)"
        case .set: "Set takes the name of an interface (s), of a property (s) and a value (v)"
        }
    }

    /// Nil if there is no such method. D-Bus allows calls without an interface.
    init?(interface: String, member: String) {
        guard let method = Self.named[member], interface.isEmpty || interface == method.interface else { return nil }
        self = method
    }

    private static let named = Dictionary(uniqueKeysWithValues: allCases.map { ($0.member, $0) })
}
