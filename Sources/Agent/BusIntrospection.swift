/// Writes the description of the object in the introspection format of the D-Bus specification.
struct BusIntrospection {
    /// Whether comments describe each member, in the form that gdbus-codegen(1) reads.
    let isDocumented: Bool

    private static let introspectionDTD = """
        <!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
         "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
        """

    /// The reply to `Introspect`.
    static var reply: String { BusIntrospection(isDocumented: false).text }

    /// Ends without a line break.
    var text: String {
        var lines = [Self.introspectionDTD]
        if isDocumented {
            lines.append("<!-- Generated from Sources/Agent by make generate. See org.upgradelink.Agent1(5). -->")
        }
        lines.append("<node name=\"\(BusInterface.path)\">")
        for interface in [BusInterface.name, BusMethod.get.interface, BusMethod.introspect.interface] {
            lines.append("  <interface name=\"\(interface)\">")
            for method in BusMethod.allCases where method.interface == interface { lines += self.method(method) }
            if interface == BusInterface.name {
                for property in BusProperty.allCases { lines += self.property(property) }
                for signal in BusSignal.allCases {
                    lines += self.signal(signal.rawValue, signal.description)
                }
            }
            if interface == BusMethod.get.interface { lines += signal("PropertiesChanged", Self.propertiesChanged) }
            lines.append("  </interface>")
        }
        return (lines + ["</node>"]).joined(separator: "\n")
    }

    private static let propertiesChanged = BusSignalDescription(
        summary: "Properties have new values.",
        arguments: [
            BusArgument("interface", "s", "Their interface."),
            BusArgument("changed", "a{sv}", "The new values by the names of the properties."),
            BusArgument("invalidated", "as", "Empty."),
        ])

    private func method(_ method: BusMethod) -> [String] {
        let described = method.description
        let arguments =
            described.inputs.map { argument($0, " direction=\"in\"") }
            + described.outputs.map { argument($0, " direction=\"out\"") }
        let comment = comment(method.member, described.inputs + described.outputs, described.summary, described.fields)
        guard !arguments.isEmpty else { return comment + ["    <method name=\"\(method.member)\"/>"] }
        return comment + ["    <method name=\"\(method.member)\">"] + arguments + ["    </method>"]
    }

    private func property(_ property: BusProperty) -> [String] {
        let described = property.description
        let text = described.summary + (described.none.isEmpty ? "" : " \(described.none)")
        return comment(property.rawValue, [], text, described.fields) + [
            "    <property name=\"\(property.rawValue)\" type=\"\(described.type)\" access=\"read\">",
            "      <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=\"true\"/>",
            "    </property>",
        ]
    }

    private func signal(_ name: String, _ described: BusSignalDescription) -> [String] {
        comment(name, described.arguments, described.summary, []) + ["    <signal name=\"\(name)\">"]
            + described.arguments.map { argument($0, "") } + ["    </signal>"]
    }

    private func argument(_ argument: BusArgument, _ direction: String) -> String {
        "      <arg name=\"\(argument.name)\" type=\"\(argument.type)\"\(direction)/>"
    }

    private func comment(
        _ name: String, _ arguments: [BusArgument], _ summary: String, _ fields: [BusField]
    ) -> [String] {
        guard isDocumented else { return [] }
        var lines = ["    <!--", "      \(name):"]
        lines += arguments.map { "      @\($0.name): \($0.summary)" }
        lines += ["", "      \(summary)"]
        lines += fields.map { "      \($0.name) (\($0.type)): \($0.summary)" }
        return lines + ["    -->"]
    }
}
