/// An HTTP response, not yet checked.
public struct HTTPReply: Hashable, Sendable {
    public var status: Int
    /// The names are in lower case. A repeated header has its last value.
    public var headers: [String: String]
    public var body: [UInt8]

    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}
