/// An error of a request that is not counted against the version.
public enum TransientError: Error, Codable, Hashable, Sendable {
    /// The server throttles requests (HTTP 429).
    case rateLimited(retryAfter: Seconds?)
    case server(status: Int, detail: String, retryAfter: Seconds?)
    case network(String)
    case tls(String)
    /// The reply does not follow the API.
    case unreadable(String)
    /// The worker itself failed.
    case worker(String)
    /// The artifact or its signature cannot be downloaded, or is not what was signed.
    case file(String, retryAfter: Seconds? = nil, code: ReasonCode? = nil)

    /// The server's `Retry-After`, in seconds from the response.
    public var retryAfter: Seconds? {
        switch self {
        case .rateLimited(let seconds), .server(_, _, let seconds), .file(_, let seconds, _): seconds
        case .network, .tls, .unreadable, .worker: nil
        }
    }
}

/// An error that only the operator can fix: wrong keys, wrong names, an application that the server does not know.
public struct Misconfiguration: Codable, Hashable, Sendable {
    /// The HTTP status, or the first three digits of ``code``.
    public var status: Int
    /// The code in the reply's body, or the HTTP status if there is none.
    public var code: Int
    public var message: String
    public var traceID: String?

    /// The response is one of the API's, with a code of its own. Otherwise another server on the path may have sent it.
    var isFromAPI: Bool { code != status }

    public init(status: Int, code: Int, message: String, traceID: String?) {
        self.status = status
        self.code = code
        self.message = message
        self.traceID = traceID
    }
}
