import Host
public import Systemd
import UpdateCore

/// What the unit of the agent restricts, as systemd has loaded it, drop-ins included: its user, and the directories that are
/// hidden or read-only for it (systemd.exec(5)).
public struct Sandbox: Sendable {
    /// The properties for a transient unit with the same restrictions, as systemd-run(1) takes them.
    public let properties: [String]
    /// The hidden directories, with the setting that hides each.
    public let hidden: [String: String]
    /// The directories that systemd creates, and gives to the agent, when it starts the unit.
    public let created: [String]
    /// Those of the unit of the package.
    static let usual = ["/var/lib/upgradelinkd", "/var/cache/upgradelinkd"]
    /// The user that the unit names; nil for the usual one.
    public let user: String?
    /// The groups that the unit names.
    let groups: [String]
    /// The user may exist only while the unit is active (DynamicUser=).
    let isDynamic: Bool

    private static let manager = "org.freedesktop.systemd1"

    /// - Parameter unit: is loaded if it is not yet.
    public init(of unit: String, _ bus: Bus) throws(BusError) {
        let reply = try bus.callAndWait(
            Self.manager, "/org/freedesktop/systemd1", "\(Self.manager).Manager", "LoadUnit", [.string(unit)])
        let fields = try bus.callAndWait(
            Self.manager, reply.first?.text ?? "/", "org.freedesktop.DBus.Properties", "GetAll",
            [.string("\(Self.manager).Service")]
        ).first?.fields
        self.init(fields ?? [:])
    }

    /// - Parameter fields: the properties of `org.freedesktop.systemd1.Service`.
    init(_ fields: [String: BusValue]) {
        var properties: [String] = []
        var hidden: [String: String] = [:]
        func texts(_ name: String) -> [String] { fields[name]?.items?.compactMap(\.text) ?? [] }
        func setting(_ name: String, _ value: String) { properties.append("\(name)=\(value)") }

        let user = fields["User"]?.text ?? ""
        self.user = user.isEmpty ? nil : user
        isDynamic = fields["DynamicUser"]?.flag == true
        groups = ([fields["Group"]?.text ?? ""] + texts("SupplementaryGroups")).filter { !$0.isEmpty }
        for name in ["Group", "ProtectSystem", "RootDirectory"] {
            if let text = fields[name]?.text, !text.isEmpty { setting(name, text) }
        }
        if let home = fields["ProtectHome"]?.text, !home.isEmpty {
            setting("ProtectHome", home)
            if home == "yes" || home == "tmpfs" {
                for directory in ["/home", "/root", "/run/user"] { hidden[directory] = "ProtectHome=\(home)" }
            }
        }
        if fields["PrivateTmp"]?.flag == true {
            setting("PrivateTmp", "yes")
            for directory in ["/tmp", "/var/tmp"] { hidden[directory] = "PrivateTmp=yes" }
        }
        for name in ["SupplementaryGroups", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"] {
            for text in texts(name) { setting(name, Self.quoted(text)) }
        }
        for path in texts("InaccessiblePaths") {
            hidden[String(path.drop { "-+".contains($0) })] = "InaccessiblePaths="
        }
        var created: [String] = []
        // The directories of the unit itself are writable. As StateDirectory= and the like, systemd would create them here.
        for (name, above) in [
            ("StateDirectory", "/var/lib"), ("CacheDirectory", "/var/cache"), ("RuntimeDirectory", "/run"),
            ("LogsDirectory", "/var/log"),
        ] {
            for text in texts(name) {
                // From systemd 252 on, the name of a link can follow.
                let directory = "\(above)/\(text.prefix { $0 != ":" })"
                setting("ReadWritePaths", Self.quoted("-\(directory)"))
                created.append(directory)
            }
        }
        for name in ["BindPaths", "BindReadOnlyPaths"] {
            for case .structure(let parts) in fields[name]?.items ?? [] where parts.count >= 3 {
                guard let source = parts[0].text, let target = parts[1].text else { continue }
                let optional = parts[2].flag == true ? "-" : ""
                setting(name, Self.quoted("\(optional)\(source):\(target)"))
            }
        }
        for case .structure(let parts) in fields["TemporaryFileSystem"]?.items ?? [] {
            guard let path = parts.first?.text else { continue }
            setting("TemporaryFileSystem", Self.quoted(path))
            hidden[path] = "TemporaryFileSystem="
        }
        self.properties = properties
        self.hidden = hidden
        self.created = created
    }

    /// A word of a list, as systemd splits it (systemd.syntax(7), "QUOTING").
    private static func quoted(_ text: String) -> String {
        guard text.contains(where: { " \t\"'\\".contains($0) }) else { return text }
        return "\"\(text.map { "\"\\".contains($0) ? "\\\($0)" : String($0) }.joined())\""
    }
}
