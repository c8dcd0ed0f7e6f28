public import Host
import TOML

/// A version that `upgradelink-sim release` has registered: a file `NAME.release.toml` next to the artifact. The server offers
/// it as soon as the file is there.
public struct Release: Sendable {
    public var urlKey: String
    public var version: Version

    static let suffix = ".release.toml"

    public init(urlKey: String, version: Version) {
        self.urlKey = urlKey
        self.version = version
    }

    /// The name of the artifact and of its registration, without their endings.
    public static func name(urlKey: String, versionCode: Int) -> String { "\(urlKey)-\(versionCode)" }

    /// The path of the registration in a directory of releases.
    public func path(in directory: String) -> String {
        "\(directory)/\(Self.name(urlKey: urlKey, versionCode: version.versionCode))\(Self.suffix)"
    }

    /// Registers the version: the file is written under another name and then renamed.
    public func write(in directory: String) throws(SystemError) {
        try Files.replace(path(in: directory), with: Array(text.utf8), mode: 0o644)
    }

    /// The registrations of a directory, by file name. A directory that cannot be listed has none.
    static func files(in directory: String) -> [(name: String, bytes: [UInt8])] {
        let names = ((try? Files.list(directory)) ?? []).filter { $0.hasSuffix(suffix) }
        return names.compactMap { name in
            (try? Files.read("\(directory)/\(name)", limit: 65_536)).map { (name, $0) }
        }
    }

    private var text: String {
        """
        # Written by upgradelink-sim release. The keys of [version] are those of [[applications.versions]].
        urlKey = \(Self.quoted(urlKey))
        [version]
        versionCode = \(version.versionCode)
        versionName = \(Self.quoted(version.versionName))
        file = \(Self.quoted(version.file))
        upgradeType = \(version.upgradeType)
        promptUpgradeContent = \(Self.quoted(version.promptUpgradeContent))

        """
    }

    /// A basic string of TOML.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension Release {
    private enum Key: String, CaseIterable { case urlKey, version }

    /// - Throws: if the text is not TOML, a key is unknown or missing, or a value has the wrong type.
    init(toml: String) throws(SimulatorConfiguration.Problem) {
        let fields = try TOMLFields<Key>(document: toml)
        self.init(urlKey: try fields.required(.urlKey), version: try fields.required(.version))
    }
}
