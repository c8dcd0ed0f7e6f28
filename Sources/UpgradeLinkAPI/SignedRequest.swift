import FoundationEssentials
public import UpdateCore

/// A signed request to the UpgradeLink API. Each try needs a new one, because a nonce is valid only once.
public struct SignedRequest: Sendable {
    public var path: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
}

/// Signs requests as the API requires: MD5 over
/// `body={body}&nonce={nonce}&secretKey={secret key}&timestamp={timestamp}&url={path}`.
public struct RequestSigner: Sendable {
    public static let upgradePath = "/v1/url/upgrade"
    public static let reportPath = "/v1/app/report"

    private let credentials: Credentials
    private let md5: @Sendable ([UInt8]) -> String

    /// - Parameter md5: returns the digest as 32 lower-case hex digits.
    public init(credentials: Credentials, md5: @escaping @Sendable ([UInt8]) -> String) {
        self.credentials = credentials
        self.md5 = md5
    }

    /// - Parameters:
    ///   - path: the path of the request's URL.
    ///   - signedPath: the path that the server sees, if a reverse proxy changes it.
    public func sign(
        path: String, signedPath: String? = nil, body: [UInt8], at time: WallTime, nonce: String
    ) -> SignedRequest {
        let timestamp = rfc3339(time)
        let headers = [
            (name: "Content-Type", value: "application/json"),
            (name: "X-Timestamp", value: timestamp),
            (name: "X-Nonce", value: nonce),
            (name: "X-AccessKey", value: credentials.accessKey),
            (
                name: "X-Signature",
                value: signature(body: body, nonce: nonce, timestamp: timestamp, path: signedPath ?? path)
            ),
        ]
        return SignedRequest(path: path, headers: headers, body: body)
    }

    public func signature(body: [UInt8], nonce: String, timestamp: String, path: String) -> String {
        var text = [UInt8]()
        if !body.isEmpty { text += Array("body=".utf8) + body + Array("&".utf8) }
        let decodedPath = percentDecoded(path)
        text += Array(
            "nonce=\(nonce)&secretKey=\(credentials.secretKey.value)&timestamp=\(timestamp)&url=\(decodedPath)".utf8)
        return md5(text)
    }

    /// 32 hex digits from the system's random source.
    public static func makeNonce() -> String {
        var source = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(source.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

/// RFC 3339 in UTC, in whole seconds. A time before 1970 or after 9999 is clamped to that range.
public func rfc3339(_ time: WallTime) -> String {
    let seconds = min(max(time.unixSeconds, 0), 253_402_300_799).rounded(.down)
    return Date(timeIntervalSince1970: seconds).formatted(.iso8601)
}

/// Replaces `%XX` by its octet (RFC 3986, section 2.1). A stray percent sign stays as it is.
private func percentDecoded(_ text: String) -> String {
    var decoded = [UInt8]()
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2,
            let octet = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
        {
            decoded.append(octet)
            rest = rest.dropFirst(2)
        } else {
            decoded.append(byte)
        }
    }
    return String(decoding: decoded, as: UTF8.self)
}
