/// Replaces known secrets in texts. Libraries quote what they were given, and other hosts may repeat what they were sent.
public struct Redaction: Sendable {
    private let secrets: [[UInt8]]

    /// The variables from which libcurl takes a proxy (libcurl-env(3)).
    public static let proxyVariables = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]

    public init(_ secrets: [String]) {
        // The longest first, because one may contain another.
        self.secrets = Set(secrets).subtracting([""]).map { Array($0.utf8) }.sorted { $0.count > $1.count }
    }

    /// - Parameters:
    ///   - urls: more URLs that are used, and may contain a password.
    ///   - environment: the variables of the process that uses the connection.
    public init(
        _ connection: ServerConnection?, _ credentials: Credentials? = nil, urls: [String] = [],
        environment: [String: String] = [:]
    ) {
        let proxies = Self.proxyVariables.compactMap { environment[$0] }.map(ProxyURL.init(environment:))
        let addresses = (urls + [connection?.url].compactMap(\.self)).compactMap { WebURL($0)?.userInfo }
        self.init(
            (proxies + [connection?.proxy].compactMap(\.self)).flatMap(\.secrets) + addresses.flatMap(\.secrets)
                + [credentials?.secretKey.value].compactMap(\.self))
    }

    public func callAsFunction(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var shown: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let length = secrets.lazy.map { self.length(of: $0, in: bytes, at: index) }.first { $0 > 0 } ?? 0
            shown += length > 0 ? Array("***".utf8) : [bytes[index]]
            index += max(length, 1)
        }
        return String(decoding: shown, as: UTF8.self).withoutUserInfo
    }

    /// The length of a secret at this index; 0 if there is none.
    private func length(of secret: [UInt8], in bytes: [UInt8], at index: Int) -> Int {
        var count = 0
        while count < secret.count, index + count < bytes.count, bytes[index + count] == secret[count] { count += 1 }
        let end = index + count
        if count == secret.count {
            // A short secret may be a part of an ordinary word.
            let isWord =
                (index == 0 || !bytes[index - 1].isAlphanumeric) && (end == bytes.count || !bytes[end].isAlphanumeric)
            return secret.count >= Self.shortest || isWord ? count : 0
        }
        // Excerpts of responses are cut, and stand between quotation marks.
        let isCut = end == bytes.count || bytes[end] == UInt8(ascii: "\"")
        return isCut && count >= Self.shortest ? count : 0
    }

    /// Bytes. A shorter secret is replaced only where it is a word of its own.
    private static let shortest = 4
}

extension UInt8 {
    fileprivate var isAlphanumeric: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
    }
}

// MARK: reports

extension FetchReport {
    /// This report without secrets in its messages. An offer is left as it is.
    public func redacted(_ redaction: Redaction) -> FetchReport {
        switch self {
        case .checked(var report):
            report.response = report.response.redacted(redaction)
            return .checked(report)
        case .reported(.refused(let problem)): return .reported(.refused(problem.redacted(redaction)))
        case .reported(.transientError(let error)): return .reported(.transientError(error.redacted(redaction)))
        case .downloaded(let result, let traffic): return .downloaded(result.redacted(redaction), traffic)
        case .adopted(.refused(let reason)): return .adopted(.refused(redaction(reason)))
        case .note(let line): return .note(redaction(line))
        case .reported(.delivered), .progress, .adopted(.verified), .digest: return self
        }
    }
}

extension CheckResponse {
    fileprivate func redacted(_ redaction: Redaction) -> CheckResponse {
        switch self {
        case .refusedOffer(.foreignUrlKey(let found, let expected)):
            .refusedOffer(.foreignUrlKey(found: redaction(found), expected: expected))
        case .refusedOffer(.unusableURL(let text)): .refusedOffer(.unusableURL(redaction(text)))
        case .misconfigured(let problem): .misconfigured(problem.redacted(redaction))
        case .transientError(let error): .transientError(error.redacted(redaction))
        case .offer, .refusedOffer, .latest: self
        }
    }
}

extension Misconfiguration {
    fileprivate func redacted(_ redaction: Redaction) -> Misconfiguration {
        Misconfiguration(
            status: status, code: code, message: redaction(message), traceID: traceID.map { redaction($0) })
    }
}

extension TransientError {
    fileprivate func redacted(_ redaction: Redaction) -> TransientError {
        switch self {
        case .rateLimited: self
        case .server(let status, let detail, let retryAfter):
            .server(status: status, detail: redaction(detail), retryAfter: retryAfter)
        case .network(let text): .network(redaction(text))
        case .tls(let text): .tls(redaction(text))
        case .unreadable(let text): .unreadable(redaction(text))
        case .worker(let text): .worker(redaction(text))
        case .file(let text, let retryAfter, let code): .file(redaction(text), retryAfter: retryAfter, code: code)
        }
    }
}

extension DownloadResult {
    fileprivate func redacted(_ redaction: Redaction) -> DownloadResult {
        switch self {
        case .verified: self
        case .gone(let text): .gone(redaction(text))
        case .refused(let text, let code): .refused(redaction(text), code: code)
        case .noSpace(let text): .noSpace(redaction(text))
        case .transientError(let error): .transientError(error.redacted(redaction))
        }
    }
}
