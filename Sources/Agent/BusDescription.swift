// The description of the agent's object on D-Bus. The methods, properties and signals are the cases of BusMethod, BusProperty and
// BusSignal. The reply to Introspect, packaging/dbus/org.upgradelink.Agent1.xml and the man page org.upgradelink.Agent1(5) are
// generated from it, and the checks of a call's arguments use it. Texts are plain sentences; they name no markup.

/// An argument of a method or a signal.
struct BusArgument {
    let name: String
    /// D-Bus specification, "Type System".
    let type: String
    let summary: String
    /// What ``BusMethod/usage`` calls it.
    let phrase: String
    /// What the usage adds after the type.
    let note: String

    init(_ name: String, _ type: String, _ summary: String, phrase: String? = nil, note: String = "") {
        (self.name, self.type, self.summary) = (name, type, summary)
        (self.phrase, self.note) = (phrase ?? name, note)
    }

    static let versionCode = BusArgument(
        "versionCode", "t", "The version that was shown to the user.", phrase: "a versionCode")
    static let offered = BusArgument("versionCode", "t", "The version's number.")
    static let offeredName = BusArgument("versionName", "s", "The version's name.")
}

/// An entry of an `a{sv}`. Receivers ignore the names that they do not know: later versions add some.
struct BusField {
    let name: String
    let type: String
    let summary: String

    init(_ name: String, _ type: String, _ summary: String) {
        (self.name, self.type, self.summary) = (name, type, summary)
    }
}

/// Who may call a method.
enum BusCallers {
    case everyone
    /// root, the agent's own user, the members of the group `upgradelink`, and users that polkit permits
    /// `org.upgradelink.manage`.
    case authorized
}

/// A method of the object.
struct BusMethodDescription {
    let summary: String
    var callers = BusCallers.authorized
    var inputs: [BusArgument] = []
    var outputs: [BusArgument] = []
    /// Errors of this method only: see ``BusMethod/errors``.
    var errors: [BusErrorName] = []
    /// The entries of its reply's `a{sv}`.
    var fields: [BusField] = []
}

/// A property of the object's own interface. All properties are read-only and emit PropertiesChanged with the new value.
struct BusPropertyDescription {
    let type: String
    let summary: String
    /// The value if there is nothing to tell: 0 or empty.
    var none = ""
    var fields: [BusField] = []
}

/// A signal of the object's own interface.
struct BusSignalDescription {
    let summary: String
    let arguments: [BusArgument]
}

/// The D-Bus errors that the agent sends.
enum BusErrorName: String, CaseIterable {
    case accessDenied = "org.freedesktop.DBus.Error.AccessDenied"
    case invalidArguments = "org.freedesktop.DBus.Error.InvalidArgs"
    case limitsExceeded = "org.freedesktop.DBus.Error.LimitsExceeded"
    case unknownMethod = "org.freedesktop.DBus.Error.UnknownMethod"
    case readOnly = "org.freedesktop.DBus.Error.PropertyReadOnly"
    case noReply = "org.freedesktop.DBus.Error.NoReply"
    case notNow = "org.upgradelink.Agent1.Error.NotNow"
    case refused = "org.upgradelink.Agent1.Error.Refused"

    var summary: String {
        switch self {
        case .accessDenied:
            "The caller is not root and not in the group upgradelink, and polkit does not authorize it. The bus itself sends it for a message with descriptors to another method than InstallDescriptor, or with more than two."
        case .invalidArguments: "An argument is wrong, independent of the state. A text may have 8192 bytes."
        case .limitsExceeded:
            "Too many calls wait for authorization, too many inhibitors exist, the agent has too many open files, or another file is being verified. Nothing was done: try again later."
        case .unknownMethod: "The object has no such method."
        case .readOnly: "Properties are set by methods."
        case .noReply:
            "The agent's connection was replaced, or the agent was restarted. Read the state, then decide whether to call again."
        case .notNow: "It is not possible in this state. The message says why."
        case .refused: "The file is not installed. The message says why."
        }
    }
}
