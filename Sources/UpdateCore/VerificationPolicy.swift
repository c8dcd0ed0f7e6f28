/// How an artifact is proved genuine.
public struct VerificationPolicy: Codable, Hashable, Sendable {
    public enum Mode: String, Codable, CaseIterable, Sendable {
        /// A minisign signature over the file, and over a comment that names the version.
        case minisign
        /// A SHA-256 digest beside the file, believed because it came over https.
        case sha256
        /// Nothing but https.
        case none
    }

    public var mode: Mode
    /// minisign public keys, each the base64 line of a `.pub` file.
    public var keys: [String]
    /// Where the signature or digest is, with `{url}` for the artifact's address.
    public var sidecarURL: String
    /// Refuse a signature whose trusted comment does not name a versionCode.
    public var requireVersionCode: Bool

    public init(mode: Mode, keys: [String], sidecarURL: String, requireVersionCode: Bool) {
        self.mode = mode
        self.keys = keys
        self.sidecarURL = sidecarURL
        self.requireVersionCode = requireVersionCode
    }
}
