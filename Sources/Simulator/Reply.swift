import FlyingFox
import FoundationEssentials

/// A reply of the simulated server; a fault may change it before it is sent.
struct Reply: Sendable {
    var status: Int
    /// The code of an API reply; 0 for other replies.
    var code = 0
    var headers: [String: String] = [:]
    var body: FileBody
    /// A Content-Length that differs from the body's length.
    var announcedLength: Int?

    init(status: Int, type: String, body: FileBody) {
        self.status = status
        self.body = body
        headers["Content-Type"] = type
    }

    init(status: Int, type: String, bytes: [UInt8]) {
        self.init(status: status, type: type, body: FileBody(source: .bytes(bytes), range: 0..<bytes.count))
    }

    init(_ reply: APIReply) {
        self.init(status: reply.status, type: "application/json", bytes: Array(reply.body))
        code = reply.code
    }

    init(_ fault: Fault) {
        let status = fault.status ?? (fault.redirect == nil ? 200 : 302)
        let text = fault.body ?? (fault.redirect == nil ? "<html><body>\(status)</body></html>" : "")
        self.init(status: status, type: text.hasPrefix("{") ? "application/json" : "text/html", bytes: Array(text.utf8))
        if let redirect = fault.redirect { headers["Location"] = redirect }
    }

    mutating func apply(_ fault: Fault) {
        headers.merge(fault.headers ?? [:]) { $1 }
        if let dropAfter = fault.dropAfter { body.dropAfter = dropAfter }
        if let speed = fault.bytesPerSecond { body.bytesPerSecond = speed }
        if let length = fault.contentLength {
            announcedLength = length
            // The connection ends where the missing bytes would begin.
            if length > body.range.count { body.dropAfter = min(body.dropAfter ?? .max, body.range.count) }
        }
        if fault.corrupt == true { body.isCorrupt = true }
    }

    func response(date: Date) -> HTTPResponse {
        var fields = HTTPHeaders()
        for (name, value) in headers { fields[HTTPHeader(name)] = value }
        if headers["Date"] == nil { fields[HTTPHeader("Date")] = httpDate(date) }
        let length = announcedLength ?? body.range.count
        // After a wrong length, the client cannot find the start of another reply on the same connection.
        if announcedLength != nil || body.dropAfter != nil { fields[.connection] = "close" }
        return HTTPResponse(
            statusCode: HTTPStatusCode(status, phrase: "Simulated"), headers: fields,
            body: HTTPBodySequence(from: body, count: length, suggestedBufferSize: 256 * 1024))
    }
}

/// A date in the form of RFC 9110, section 5.6.7.
func httpDate(_ date: Date) -> String {
    let days = Int((date.timeIntervalSince1970 / 86_400).rounded(.down))
    let text = date.formatted(.iso8601)  // 2025-02-17T10:34:55Z
    let parts = text.split { $0 == "T" || $0 == "Z" }
    let ymd = (parts.first ?? "").split(separator: "-")
    guard ymd.count == 3, parts.count == 2, let month = Int(ymd[1]) else { return text }
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let weekday = weekdays[((days % 7) + 7) % 7]
    return "\(weekday), \(ymd[2]) \(months[month - 1]) \(ymd[0]) \(parts[1]) GMT"
}
