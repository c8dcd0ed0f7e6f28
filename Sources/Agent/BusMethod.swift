import UpdateCore

/// A method of the agent's object, with its description. A call of anything else is refused before its arguments are read.
public enum BusMethod: String, Hashable, CaseIterable, Sendable {
    case check = "Check"
    case accept = "Accept"
    case postpone = "Defer"
    case reject = "Reject"
    case cancel = "Cancel"
    case retry = "Retry"
    case installFile = "InstallFile"
    case installDescriptor = "InstallDescriptor"
    case inhibit = "Inhibit"
    case setSpeedLimit = "SetSpeedLimit"
    case history = "History"
    case get = "Get"
    case getAll = "GetAll"
    case set = "Set"
    case introspect = "Introspect"

    public var interface: String {
        switch self {
        case .get, .getAll, .set: "org.freedesktop.DBus.Properties"
        case .introspect: "org.freedesktop.DBus.Introspectable"
        case .check, .accept, .postpone, .reject, .cancel, .retry, .installFile, .installDescriptor, .inhibit,
            .setSpeedLimit, .history:
            BusInterface.name
        }
    }

    public var member: String { rawValue }

    /// The types of the arguments (D-Bus specification, "Type System").
    public var signature: String { description.inputs.map(\.type).joined() }

    /// A line that says what the method takes.
    public var usage: String {
        let arguments = description.inputs.map { "\($0.phrase) (\($0.type))\($0.note)" }
        guard let last = arguments.last else { return "\(member) takes no arguments" }
        let others = arguments.dropLast().joined(separator: ", ")
        return "\(member) takes \(others)\(others.isEmpty ? "" : " and ")\(last)"
    }

    /// Nil if there is no such method. D-Bus allows calls without an interface.
    public init?(interface: String, member: String) {
        guard let method = BusMethod(rawValue: member), interface.isEmpty || interface == method.interface else {
            return nil
        }
        self = method
    }

    /// The errors with which the method can end.
    var errors: [BusErrorName] {
        let common: [BusErrorName] =
            description.callers == .authorized ? [.accessDenied, .limitsExceeded, .noReply] : [.noReply]
        return [.invalidArguments] + common + description.errors
    }

    var description: BusMethodDescription {
        switch self {
        case .check:
            BusMethodDescription(summary: "Check for updates now.", errors: [.notNow])
        case .accept:
            BusMethodDescription(
                summary:
                    "Install the offered version. If its installation waits for a reboot, reboot. A silent version that waits for its window can be accepted, too.",
                inputs: [
                    .versionCode,
                    BusArgument(
                        "when", "s",
                        "\"now\", or \"window\" for the next maintenance window. Without install.windows there is no window, and the call is refused.",
                        note: ": \"now\" or \"window\""),
                ], errors: [.notNow])
        case .postpone:
            BusMethodDescription(
                summary:
                    "Request consent again after this time. The deferral lasts across reboots, reloads and changes of the clock.",
                inputs: [
                    .versionCode, BusArgument("seconds", "t", "From 60 s to 604800 s (7 days)."),
                ], errors: [.notNow])
        case .reject:
            BusMethodDescription(
                summary: "Never install the offered version. It is refused for a version that needs no consent.",
                inputs: [.versionCode], errors: [.notNow])
        case .cancel:
            BusMethodDescription(
                summary:
                    "Stop the download, or an installation that has not begun. An installation that waits for its reboot is rolled back. A forced version cannot be cancelled.",
                errors: [.notNow])
        case .retry:
            BusMethodDescription(
                summary: "Try a version again that failed, is blocked or was rejected. This resets its failure counts.",
                inputs: [
                    BusArgument(
                        "versionCode", "t", "A version of RefusedVersions, or the offered one.", phrase: "a versionCode"
                    )
                ], errors: [.notNow])
        case .installFile:
            BusMethodDescription(
                summary:
                    "Copy, verify and install a local file. The caller consents to it. Its signature is the file with the additional suffix .minisig.",
                inputs: [
                    BusArgument(
                        "path", "s", "An absolute path that the agent's own user can read.", phrase: "an absolute path")
                ], outputs: [BusArgument("versionCode", "t", "The version that the signature names.")],
                errors: [.notNow, .refused])
        case .installDescriptor:
            BusMethodDescription(
                summary:
                    "Copy, verify and install a file that the caller has opened, from a USB stick for example. The caller consents to it.",
                inputs: [
                    BusArgument("artifact", "h", "The artifact, open for reading.", phrase: "the open artifact"),
                    BusArgument("signature", "h", "Its signature, open for reading.", phrase: "its open signature"),
                ], outputs: [BusArgument("versionCode", "t", "The version that the signature names.")],
                errors: [.notNow, .refused])
        case .inhibit:
            BusMethodDescription(
                summary:
                    "Delay updates for a while. The agent begins nothing that the inhibitor names, and stops a download that it names. A forced version waits for install.inhibitLimit at most.",
                inputs: [
                    BusArgument(
                        "what", "s", "The words download, install and reboot, separated by colons.",
                        note: ", a colon-separated list of download, install and reboot"),
                    BusArgument("who", "s", "The program, for the user."),
                    BusArgument("why", "s", "The reason, for the user."),
                ],
                outputs: [
                    BusArgument(
                        "inhibitor", "h", "The inhibitor is active while this descriptor, or a copy of it, is open.")
                ])
        case .setSpeedLimit:
            BusMethodDescription(
                summary:
                    "Limit the speed of downloads, the running one included, until the agent is restarted. It replaces download.speedLimit.",
                inputs: [
                    BusArgument(
                        "bytesPerSecond", "t", "In bytes per second; 0 for no limit.", phrase: "bytes per second",
                        note: ", 0 for no limit")
                ])
        case .history:
            BusMethodDescription(
                summary: "The outcomes of the last \(Attempt.remembered) offers and attempts, the latest last.",
                callers: .everyone,
                outputs: [BusArgument("attempts", "aa{sv}", "One dictionary for each outcome.")],
                fields: Attempt.busFields)
        case .get:
            BusMethodDescription(
                summary: "The value of a property.", callers: .everyone,
                inputs: [
                    BusArgument("interface", "s", "The interface of the property.", phrase: "the name of an interface"),
                    BusArgument("property", "s", "Its name.", phrase: "of a property"),
                ], outputs: [BusArgument("value", "v", "Its value.")])
        case .getAll:
            BusMethodDescription(
                summary: "The values of all properties.", callers: .everyone,
                inputs: [BusArgument("interface", "s", "Their interface.", phrase: "the name of an interface")],
                outputs: [BusArgument("properties", "a{sv}", "The values by their names.")])
        case .set:
            BusMethodDescription(
                summary: "Always an error: properties are set by methods.", callers: .everyone,
                inputs: [
                    BusArgument("interface", "s", "The interface of the property.", phrase: "the name of an interface"),
                    BusArgument("property", "s", "Its name.", phrase: "of a property"),
                    BusArgument("value", "v", "A value.", phrase: "a value"),
                ], errors: [.readOnly])
        case .introspect:
            BusMethodDescription(
                summary: "The description of the object in XML.", callers: .everyone,
                outputs: [BusArgument("xml", "s", "The description.")])
        }
    }
}
