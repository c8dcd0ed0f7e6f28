/// What a minisign signature says about its file. One of the operator's keys signed all of it.
public struct SignatureStatement: Sendable {
    public let key: MinisignKey
    /// As it was signed: it may contain control characters.
    public let trustedComment: String
    // The fields of the comment; nil if it does not have them.
    public let versionCode: Int?
    public let urlKey: String?
    public let devModelKey: String?
    public let minVersionCode: Int?
}
