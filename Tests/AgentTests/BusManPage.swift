import UpdateCore

@testable import Agent

/// Writes the man page org.upgradelink.Agent1(5) from the description of the interface.
@MainActor struct BusManPage {
    var text: String {
        var lines = [
            #".\" Generated from Sources/Agent and ReasonCode by make generate: edit those."#,
            #".TH ORG.UPGRADELINK.AGENT1 5 "" "upgradelinkd" "File Formats""#,
            ".nh", ".ad l", ".SH NAME",
            #"org.upgradelink.Agent1 \- the D\-Bus interface of the update agent upgradelinkd"#,
            ".SH SYNOPSIS",
        ]
        lines += block(["busctl introspect \(BusInterface.name) \(BusInterface.path)"])
        lines.append(".SH DESCRIPTION")
        lines += Self.introduction.flatMap { paragraph($0) }
        lines.append(".SH METHODS")
        for method in BusMethod.allCases where method.interface == BusInterface.name { lines += describe(method) }
        lines.append(".SH PROPERTIES")
        lines += paragraph(
            "All properties are read-only, and PropertiesChanged has the new value of each one that changes. Times that differ by less than 3 seconds are no change."
        )
        for property in BusProperty.allCases {
            let described = property.description
            lines += entry("\(property.rawValue) (\(described.type))")
            lines += sentences(described.summary + (described.none.isEmpty ? "" : " \(described.none)"))
            lines += fields(described.fields)
        }
        lines.append(".SH SIGNALS")
        for signal in BusSignal.allCases {
            let arguments = signal.description.arguments
            lines += entry("\(signal.rawValue)(\(arguments.map { "\($0.name) \($0.type)" }.joined(separator: ", ")))")
            lines += sentences(signal.description.summary)
            lines += indented(arguments.map { ($0.name, $0.summary) })
        }
        lines.append(".SH ERRORS")
        for error in BusErrorName.allCases { lines += entry(error.rawValue) + sentences(error.summary) }
        lines.append(".SH REASON CODES")
        lines += paragraph(
            "A reason code is a short word for programs, next to each reason for people: in LastErrorCode, RefusedVersions, History, the signal Finished, and the journal's field UPGRADELINK_REASON. A word never changes its meaning. Later versions have more words, so a program must expect some that it does not know."
        )
        for code in ReasonCode.allCases { lines += entry(code.rawValue) + sentences(code.summary) }
        lines.append(".SH EXAMPLES")
        for (purpose, commands) in Self.examples { lines += paragraph(purpose) + block(commands) }
        lines.append(".SH FILES")
        for (path, purpose) in Self.files { lines += [".TP", ".I \(escape(path))"] + sentences(purpose) }
        lines.append(".SH SEE ALSO")
        lines += [
            ".BR upgradelinkctl (1),", ".BR busctl (1),", ".BR gdbus (1),", ".BR sd\\-bus (3),",
            ".BR upgradelinkd.toml (5),",
            ".BR upgradelinkd (8)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: what the description does not have

    private static let introduction = [
        "upgradelinkd owns the name org.upgradelink.Agent1 on the system bus. Its one object is /org/upgradelink/Agent1, and the object's interface has the name org.upgradelink.Agent1, too. User interfaces and upgradelinkctl use it.",
        "Every user can read the properties, call History and receive the signals. The other methods need root, the agent's own user, the group upgradelink, or the permission of polkit for the action org.upgradelink.manage.",
        "Types are those of the D-Bus specification: s a text, t and u numbers without a sign of 64 and 32 bits, b true or false, h an open file, and a{sv} a dictionary. Texts have no control characters. Later versions add members, fields of dictionaries and reason codes; programs ignore what they do not know.",
    ]

    private static let target = "\(BusInterface.name) \(BusInterface.path) \(BusInterface.name)"
    private static let gdbus = "gdbus call --system --dest \(BusInterface.name) --object-path \(BusInterface.path)"

    static let examples: [(purpose: String, commands: [String])] = [
        ("Show the state and the offered version:", ["busctl get-property \(target) State Offer"]),
        ("Show the history as JSON:", ["busctl --json=pretty call \(target) History"]),
        ("Check for updates:", ["busctl call \(target) Check"]),
        (
            "Defer version 2 for an hour, then accept it:",
            [
                "busctl call \(target) Defer tt 2 3600",
                "\(gdbus) --method \(BusInterface.name).Accept 2 now",
            ]
        ),
        ("Watch all signals:", ["gdbus monitor --system --dest \(BusInterface.name)"]),
    ]

    private static let files = [
        (
            "/usr/share/dbus-1/interfaces/org.upgradelink.Agent1.xml",
            "The interface, for programs that generate code from it."
        ),
        ("/usr/share/dbus-1/system.d/org.upgradelink.Agent1.conf", "Who may own the name and send to it, for the bus."),
        ("/usr/share/polkit-1/actions/org.upgradelink.policy", "The action org.upgradelink.manage, for polkit."),
    ]

    // MARK: the parts

    private func describe(_ method: BusMethod) -> [String] {
        let described = method.description
        let inputs = described.inputs.map { "\($0.name) \($0.type)" }.joined(separator: ", ")
        let outputs = described.outputs.map { "\($0.name) \($0.type)" }.joined(separator: ", ")
        var lines = entry("\(method.member)(\(inputs))" + (outputs.isEmpty ? "" : " -> \(outputs)"))
        lines += sentences(described.summary)
        lines += indented((described.inputs + described.outputs).map { ($0.name, $0.summary) })
        lines += fields(described.fields)
        let callers = described.callers == .everyone ? "every user" : "authorized users"
        let errors = method.errors.map { $0.rawValue.split(separator: ".").last.map(String.init) ?? "" }
        return lines + [".IP"] + sentences("Callers: \(callers). Errors: \(errors.joined(separator: ", ")).")
    }

    private func entry(_ title: String) -> [String] { [".TP", ".B \(escape(title))"] }

    private func fields(_ fields: [BusField]) -> [String] {
        indented(fields.map { ("\($0.name) (\($0.type))", $0.summary) })
    }

    private func indented(_ items: [(name: String, text: String)]) -> [String] {
        guard !items.isEmpty else { return [] }
        return [".RS"] + items.flatMap { [".TP", ".I \(escape($0.name))"] + sentences($0.text) } + [".RE"]
    }

    private func paragraph(_ text: String) -> [String] { [".PP"] + sentences(text) }

    private func block(_ lines: [String]) -> [String] { [".PP", ".RS", ".nf"] + lines.map(escape) + [".fi", ".RE"] }

    /// Each sentence on a line of its own, as groff_man(7) advises.
    private func sentences(_ text: String) -> [String] {
        escape(text).replacing(/([.:]) ([A-Z])/) { "\($0.1)\n\($0.2)" }.split(separator: "\n").map(String.init)
    }

    /// Hyphens stay those of commands and names; no line is a request.
    private func escape(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }
}
