import CCurl
public import UpdateCore

/// libcurl, which is loaded when it is needed.
public enum HTTPLibrary {
    /// What keeps it from being used, in a line for the operator.
    public static var problem: String? {
        upgradelink_load_curl().map { "\(String(cString: $0)); install libcurl 4 (Debian's package libcurl4)" }
    }
}

/// Small requests: API calls, signatures and digests.
public struct HTTPClient {
    private let connection: ServerConnection
    private let cancellation: Cancellation

    public init(_ connection: ServerConnection, cancellation: Cancellation) {
        self.connection = connection
        self.cancellation = cancellation
    }

    /// Sends a body and reads the reply, whatever its status. Redirects are not followed: a signature is for one path.
    public func post(
        _ url: String, headers: [(name: String, value: String)], body: [UInt8], limit: Int
    ) throws(Trouble) -> HTTPReply {
        try exchange(url, headers: headers, body: body, limit: limit)
    }

    /// Reads a small file, following redirects as a download does.
    public func get(_ url: WebURL, limit: Int) throws(DownloadFailure) -> HTTPReply {
        var trail = RedirectTrail(url)
        while true {
            let reply: HTTPReply
            do throws(Trouble) {
                reply = try exchange(trail.url.text, headers: [], body: nil, limit: limit)
            } catch {
                throw cancellation.isCancelled ? .cancelled : .trouble(error)
            }
            guard RedirectTrail.isRedirect(reply) else { return reply }
            try trail.follow(reply)
        }
    }

    private func exchange(
        _ url: String, headers: [(name: String, value: String)], body: [UInt8]?, limit: Int
    ) throws(Trouble) -> HTTPReply {
        let transfer = Transfer(
            connection: connection,
            limits: .init(connectTimeout: connection.connectTimeout, totalTimeout: connection.requestTimeout),
            cancellation: cancellation)
        var received = [UInt8]()
        do throws(Transfer.Failure) {
            var reply = try transfer.perform(url, headers: headers, post: body, onHead: { _ in true }) { bytes in
                guard received.count + bytes.byteCount <= limit else { return false }
                bytes.withUnsafeBytes { received.append(contentsOf: $0) }
                return true
            }
            reply.body = received
            return reply
        } catch {
            throw trouble(error, tooLong: "the reply is longer than \(describe(bytes: limit))")
        }
    }
}

/// Libcurl's error as what it means for the agent.
func trouble(_ failure: Transfer.Failure, tooLong: String) -> Trouble {
    switch failure {
    case .cancelled: return .network("cancelled")
    case .stopped: return .unreadable(tooLong)
    case .curl(let code, let text):
        let text = text.forPeople(limit: 300)
        return tlsCodes.contains(code) ? .tls(text) : .network(text)
    }
}

private let tlsCodes: [CURLcode] = [
    CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
    CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_NOTFOUND,
    CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
    CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_USE_SSL_FAILED,
]
