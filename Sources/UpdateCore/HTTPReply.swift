/// An HTTP response, not yet checked.
public struct HTTPReply: Hashable, Sendable {
    public var status: Int
    /// The names are in lower case. A repeated header has its last value.
    public var headers: [String: String]
    public var body: [UInt8]
    /// The protocol version of the status line, such as `HTTP/1.1`.
    public var version = ""

    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The end of the body is marked, by a length, by chunks or by frames. Otherwise the end of the connection is the end of the
    /// body, and a body that was cut looks whole (RFC 9112, section 6.3).
    public var hasMarkedEnd: Bool {
        !version.hasPrefix("HTTP/1") || headers["content-length"] != nil
            || headers["transfer-encoding"]?.lowercased().contains("chunked") == true
    }

    /// The first bytes of a gzip file (RFC 1952).
    public static let gzipMark: [UInt8] = [0x1F, 0x8B]

    public static let clientCertificateLine =
        "a client certificate is required: set server.clientCertificate and server.clientKey"
    public static let proxyLine = "the proxy requires authentication: put the user and the password into server.proxy"

    /// nginx refuses a connection without a client certificate by this page.
    public var requiresClientCertificate: Bool {
        guard status == 400 || status == 496 || status == 495 else { return false }
        let text = String(decoding: body.prefix(2048), as: UTF8.self).lowercased()
        return text.contains("required ssl certificate") || text.contains("ssl certificate error")
    }
}
