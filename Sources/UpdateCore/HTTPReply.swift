/// What came back over HTTP, before anybody believed it.
public struct HTTPReply: Hashable, Sendable {
    public var status: Int
    /// Names in lower case; of a repeated header the last value.
    public var headers: [String: String]
    public var body: [UInt8]

    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}
