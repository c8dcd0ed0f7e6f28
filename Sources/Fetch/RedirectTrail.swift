import CCurl
import UpdateCore

/// Follows at most ten redirects of one request, and none from https to http.
struct RedirectTrail {
    static let limit = 10

    private(set) var url: WebURL
    private var hops = 0

    init(_ url: WebURL) { self.url = url }

    /// 300 is one only if the server names its choice (RFC 9110, section 15.4.1).
    static func isRedirect(_ reply: HTTPReply) -> Bool {
        [301, 302, 303, 307, 308].contains(reply.status) || reply.status == 300 && reply.headers["location"] != nil
    }

    /// - Throws: `.transientError`. A captive portal and a broken server redirect anywhere; the next response may be right.
    mutating func follow(_ reply: HTTPReply) throws(DownloadFailure) {
        let location = reply.headers["location"] ?? ""
        guard let target = resolve(location) else {
            throw .file(
                "HTTP \(reply.status) without a usable Location (\"\(location.withoutUserInfo.sanitized(limit: 200))\")"
            )
        }
        hops += 1
        guard hops <= Self.limit else { throw .file("more than \(Self.limit) redirects") }
        guard target.isSecure || !url.isSecure else {
            throw .file("a redirect from https to http (\(target.shown))")
        }
        url = target
    }

    /// Resolves a reference relative to the current URL (RFC 3986, section 5; RFC 9110, section 10.2.2), by libcurl's URL API.
    private func resolve(_ location: String) -> WebURL? {
        let reference = location.drop { $0.isWhitespace }
        guard !reference.isEmpty, let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        let trimmed = String(reference.reversed().drop { $0.isWhitespace }.reversed())
        guard curl_url_set(handle, CURLUPART_URL, url.text, 0) == CURLUE_OK,
            curl_url_set(handle, CURLUPART_URL, trimmed, UInt32(CURLU_URLENCODE)) == CURLUE_OK
        else { return nil }
        guard let text = upgradelink_url_text(handle) else { return nil }
        defer { curl_free(text) }
        return try? WebURL(repairing: String(cString: text))
    }
}
