import CCurl
public import UpdateCore

/// libcurl, which is loaded at its first use.
public enum HTTPLibrary {
    /// Why the library cannot be loaded, as one line for the operator; nil if it is available.
    public static var problem: String? {
        upgradelink_load_curl().map { "\(String(cString: $0)); install libcurl 4 (Debian's package libcurl4)" }
    }
}

/// Sends small requests: API calls, and downloads of signatures and digests.
public struct HTTPClient {
    private let connection: ServerConnection
    private let cancellation: Cancellation

    public init(_ connection: ServerConnection, cancellation: Cancellation) {
        self.connection = connection
        self.cancellation = cancellation
    }

    /// Sends a body and reads the reply, also one with an error status. It does not follow redirects, because the signature of a
    /// request is for one path.
    ///
    /// - Parameter limit: bytes; a longer reply is a transient error.
    public func post(
        _ url: String, headers: [(name: String, value: String)], body: [UInt8], limit: Int
    ) throws(RequestError) -> HTTPReply {
        try exchange(url, headers: headers, body: body, limit: limit)
    }

    /// The time that the server shows. Anybody on the path can change it: the certificate is not checked, and no key and no
    /// password is sent to the server.
    ///
    /// - Returns: nil if there is no response, or one without a `Date`.
    public func untrustedDate(of url: String) -> String? {
        var connection = connection
        (connection.clientCertificate, connection.clientKey) = (nil, nil)
        let transfer = Transfer(
            connection: connection,
            limits: .init(
                connectTimeout: connection.connectTimeout, totalTimeout: connection.connectTimeout, trustsAnyone: true),
            cancellation: cancellation)
        var date: String?
        _ = try? transfer.perform(
            WebURL(url)?.withoutUserInfo ?? url,
            onHead: {
                date = $0.headers["date"]
                return false
            }, onBody: { _ in false })
        return date
    }

    /// Reads a small file. It follows redirects as a download does.
    ///
    /// - Parameters:
    ///   - limit: bytes; a longer reply is a transient error.
    ///   - name: what the file is, for that error.
    public func get(_ url: WebURL, limit: Int, name: String) throws(DownloadFailure) -> HTTPReply {
        var trail = RedirectTrail(url)
        while true {
            let reply: HTTPReply
            do throws(RequestError) {
                reply = try exchange(trail.url.text, headers: [], body: nil, limit: limit, name: name)
            } catch {
                throw cancellation.isCancelled ? .cancelled : .transientError(error.transientError)
            }
            guard RedirectTrail.isRedirect(reply) else { return reply }
            try trail.follow(reply)
        }
    }

    private func exchange(
        _ url: String, headers: [(name: String, value: String)], body: [UInt8]?, limit: Int,
        name: String = "reply"
    ) throws(RequestError) -> HTTPReply {
        let transfer = Transfer(
            connection: connection,
            limits: .init(connectTimeout: connection.connectTimeout, totalTimeout: connection.requestTimeout),
            cancellation: cancellation)
        var received = [UInt8]()
        var head = HTTPReply(status: 0)
        do throws(Transfer.Failure) {
            var reply = try transfer.perform(
                url, headers: headers, post: body,
                onHead: {
                    head = $0
                    return true
                },
                onBody: { bytes in
                    let rest = min(bytes.byteCount, limit - received.count)
                    bytes.extracting(first: rest).withUnsafeBytes { received.append(contentsOf: $0) }
                    // The start of an error page is enough.
                    return rest == bytes.byteCount
                })
            reply.body = received
            return reply
        } catch {
            var isOutOfDate = false
            if case .curl(let curlError) = error { isOutOfDate = curlError.isOutOfDate }
            let tooLong = "the \(name) is longer than \(describe(bytes: ByteCount(limit)))"
            if case .stopped = error, name != "reply" {
                // An error page may be long; its status says enough.
                guard (200..<300).contains(head.status) || head.status == 0 else {
                    head.body = received
                    return head
                }
                let content = describeContent(received, head.headers, of: name)
                throw RequestError(transientError: .file(content ?? tooLong), isOutOfDate: false)
            }
            throw RequestError(
                transientError: transientError(error, tooLong: tooLong), isOutOfDate: isOutOfDate)
        }
    }
}

/// Why a request has no response.
public struct RequestError: Error {
    public var transientError: TransientError
    /// The server's certificate has expired, or is not yet valid, by the device's clock.
    public var isOutOfDate: Bool

    public init(transientError: TransientError, isOutOfDate: Bool = false) {
        self.transientError = transientError
        self.isOutOfDate = isOutOfDate
    }
}

/// Translates an error of libcurl.
func transientError(_ failure: Transfer.Failure, tooLong: String) -> TransientError {
    switch failure {
    case .cancelled: return .network("cancelled")
    case .stopped: return .unreadable(tooLong)
    case .curl(let error):
        let text = error.text.sanitized(limit: 300)
        if error.proxyStatus == 407 { return .network(HTTPReply.proxyLine) }
        if error.proxyStatus >= 300 { return .network("the proxy responded with HTTP \(error.proxyStatus) to CONNECT") }
        // The alert of TLS 1.3 (RFC 8446, section 6.2) comes after the handshake, as an error of a read.
        if text.lowercased().contains("certificate required") { return .tls(HTTPReply.clientCertificateLine) }
        // libcurl calls a header line that is too long so.
        if error.code == CURLE_OUT_OF_MEMORY { return .unreadable("the head of the reply is too long") }
        guard tlsCodes.contains(error.code) else { return .network(text) }
        return text.contains("handshake failure") ? .tls("\(text) (is a client certificate required?)") : .tls(text)
    }
}

private let tlsCodes: [CURLcode] = [
    CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
    CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_NOTFOUND,
    CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
    CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_USE_SSL_FAILED,
]
