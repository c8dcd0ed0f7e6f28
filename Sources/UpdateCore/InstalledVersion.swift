/// What the device reports as installed.
public enum InstalledVersion: Codable, Hashable, Sendable {
    case known(versionCode: Int, versionName: String?)
    /// Why the version is unknown: one line for the operator.
    case unknown(String)

    public var versionCode: Int? {
        if case .known(let code, _) = self { code } else { nil }
    }

    public var title: String {
        switch self {
        case .known(let code, let name): name.map { "\($0), code \(code)" } ?? "code \(code)"
        case .unknown: "unknown version"
        }
    }
}
