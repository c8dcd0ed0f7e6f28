/// How to reach a server.
public struct ServerConnection: Codable, Hashable, Sendable {
    public var url: String
    /// The path that is signed, if a reverse proxy changes the path in the URL.
    public var signingPath: String?
    /// The path of a PEM file, as ``clientCertificate`` and ``clientKey``.
    public var caBundle: String?
    public var clientCertificate: String?
    public var clientKey: String?
    public var proxy: ProxyURL?
    public var connectTimeout: Seconds
    public var requestTimeout: Seconds

    public init(
        url: String, signingPath: String? = nil, caBundle: String? = nil, clientCertificate: String? = nil,
        clientKey: String? = nil, proxy: ProxyURL? = nil, connectTimeout: Seconds, requestTimeout: Seconds
    ) {
        self.url = url
        self.signingPath = signingPath
        self.caBundle = caBundle
        self.clientCertificate = clientCertificate
        self.clientKey = clientKey
        self.proxy = proxy
        self.connectTimeout = connectTimeout
        self.requestTimeout = requestTimeout
    }
}

/// A value that must not be shown: it prints as `***`. Only its encoded form, for a worker's pipe, contains it.
public struct Secret: Codable, Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    public let value: String

    public init(_ value: String) { self.value = value }

    public init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }

    public var description: String { "***" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The keys that sign the requests to the server.
public struct Credentials: Codable, Hashable, Sendable {
    public var accessKey: String
    public var secretKey: Secret

    public init(accessKey: String, secretKey: Secret) {
        self.accessKey = accessKey
        self.secretKey = secretKey
    }
}
