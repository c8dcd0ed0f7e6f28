/// A way to misbehave, for requests whose path begins with ``path``.
public struct Fault: Sendable {
    public var path: String
    /// Only this often. Absent: always.
    public var times: Int?
    /// Answer with this status instead of the right one.
    public var status: Int?
    /// Answer with this body instead of the right one.
    public var body: String?
    public var headers: [String: String]?
    /// Cut the connection after this many bytes of the body.
    public var dropAfter: Int?
    /// Send the body this slowly.
    public var bytesPerSecond: Int?
    /// Seconds before the answer begins.
    public var delay: Double?
    /// Announce this length, whatever the body's is.
    public var contentLength: Int?
    /// Answer ranges with the whole file.
    public var noRanges: Bool?
    /// Another ETag for each request.
    public var changingETag: Bool?
    /// Redirect there.
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
