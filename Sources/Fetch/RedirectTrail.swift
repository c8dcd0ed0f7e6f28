import UpdateCore

/// Follows at most five redirects of one request, and none from https to http.
struct RedirectTrail {
    static let limit = 5

    private(set) var url: WebURL
    private var hops = 0

    init(_ url: WebURL) { self.url = url }

    static func isRedirect(_ reply: HTTPReply) -> Bool { [301, 302, 303, 307, 308].contains(reply.status) }

    mutating func follow(_ reply: HTTPReply) throws(DownloadFailure) {
        guard let location = reply.headers["location"], let target = resolve(location) else {
            throw .refused("HTTP \(reply.status) without a usable Location")
        }
        hops += 1
        guard hops <= Self.limit else { throw .refused("more than \(Self.limit) redirects") }
        guard target.isSecure || !url.isSecure else {
            throw .refused("a redirect from https to http (\(target.text.sanitized(limit: 200)))")
        }
        url = target
    }

    /// An absolute URL, or one relative to the host or the directory of the current one (RFC 3986, section 5).
    private func resolve(_ location: String) -> WebURL? {
        if let absolute = WebURL(location) { return absolute }
        guard !location.isEmpty, !location.contains("://") else { return nil }
        let scheme = url.isSecure ? "https:" : "http:"
        if location.hasPrefix("//") { return WebURL(scheme + location) }
        let afterScheme = url.text.dropFirst(scheme.count + 2)
        let authority = afterScheme.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if location.hasPrefix("/") { return WebURL("\(scheme)//\(authority)\(location)") }
        let directory = url.path[...(url.path.lastIndex(of: "/") ?? url.path.startIndex)]
        return WebURL("\(scheme)//\(authority)\(directory)\(location)")
    }
}
