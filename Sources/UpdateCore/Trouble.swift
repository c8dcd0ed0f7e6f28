/// What stood in the way of a request, none of it the update's fault.
public enum Trouble: Error, Codable, Hashable, Sendable {
    case rateLimited(retryAfter: Seconds?)
    case server(status: Int, detail: String, retryAfter: Seconds?)
    case network(String)
    case tls(String)
    /// A reply that is not the contract's.
    case unreadable(String)
    /// The worker itself failed.
    case worker(String)

    public var retryAfter: Seconds? {
        switch self {
        case .rateLimited(let seconds), .server(_, _, let seconds): seconds
        case .network, .tls, .unreadable, .worker: nil
        }
    }
}

/// What only the operator can mend: wrong keys, wrong names, an application the server does not know.
public struct Misconfiguration: Codable, Hashable, Sendable {
    public var status: Int
    public var code: Int
    public var message: String
    public var traceID: String?

    public init(status: Int, code: Int, message: String, traceID: String?) {
        self.status = status
        self.code = code
        self.message = message
        self.traceID = traceID
    }
}
