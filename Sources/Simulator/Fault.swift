/// A fault that the server simulates for requests whose path begins with ``path``.
public struct Fault: Sendable {
    public var path: String
    /// How many requests the fault affects; nil for all.
    public var times: Int?
    /// Reply with this HTTP status instead of the correct reply.
    public var status: Int?
    /// Reply with this body instead of the correct one.
    public var body: String?
    /// Add or replace these headers of the reply.
    public var headers: [String: String]?
    /// Close the connection after this many bytes of the body.
    public var dropAfter: Int?
    /// Send the body at this speed.
    public var bytesPerSecond: Int?
    /// Seconds until the reply begins.
    public var delay: Double?
    /// Send this Content-Length instead of the body's length.
    public var contentLength: Int?
    /// Reply to range requests with the whole file.
    public var noRanges: Bool?
    /// Send another ETag with each reply.
    public var changingETag: Bool?
    /// Redirect to this URL.
    public var redirect: String?
    /// Flip a bit of each byte.
    public var corrupt: Bool?

    public init(
        path: String, times: Int? = nil, status: Int? = nil, body: String? = nil, headers: [String: String]? = nil,
        dropAfter: Int? = nil, bytesPerSecond: Int? = nil, delay: Double? = nil, contentLength: Int? = nil,
        noRanges: Bool? = nil, changingETag: Bool? = nil, redirect: String? = nil, corrupt: Bool? = nil
    ) {
        self.path = path
        self.times = times
        self.status = status
        self.body = body
        self.headers = headers
        self.dropAfter = dropAfter
        self.bytesPerSecond = bytesPerSecond
        self.delay = delay
        self.contentLength = contentLength
        self.noRanges = noRanges
        self.changingETag = changingETag
        self.redirect = redirect
        self.corrupt = corrupt
    }
}
