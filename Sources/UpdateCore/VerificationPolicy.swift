/// How an artifact is verified.
public struct VerificationPolicy: Codable, Hashable, Sendable {
    public enum Mode: String, Codable, CaseIterable, Sendable {
        /// A minisign signature over the file, and over a comment that names the version.
        case minisign
        /// A SHA-256 digest next to the file. Both must come over https.
        case sha256
        /// No verification; the file must come over https.
        case none
    }

    public var mode: Mode
    /// minisign public keys, each the base64 line of a `.pub` file.
    public var keys: [String]
    /// The address of the signature or digest file (``SidecarTemplate``).
    public var sidecarURL: String
    /// Refuse a signature whose trusted comment names no versionCode.
    public var requireVersionCode: Bool

    public init(mode: Mode, keys: [String], sidecarURL: String, requireVersionCode: Bool) {
        self.mode = mode
        self.keys = keys
        self.sidecarURL = sidecarURL
        self.requireVersionCode = requireVersionCode
    }
}
