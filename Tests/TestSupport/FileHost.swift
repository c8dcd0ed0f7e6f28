import Glibc
import Host
import Synchronization

/// A host of files whose responses are written byte by byte, for servers that no HTTP library imitates. It answers each
/// connection with one response.
public final class FileHost: Sendable {
    public struct Request: Sendable {
        /// The path with its query.
        public var target: String
        /// The names are in lower case.
        public var headers: [String: String]
        /// How many requests for this target came before.
        public var earlier: Int
        /// The content at the target's path; empty if there is none.
        public var content: [UInt8]

        /// The first byte that is wanted, if a range is wanted.
        public var start: Int? {
            headers["range"]?.firstMatch(of: /bytes=(\d+)-/).flatMap { Int($0.1) }
        }

        public func respond(_ status: String, _ headers: [String] = [], _ body: [UInt8]) -> [UInt8] {
            let lines = ["HTTP/1.1 \(status)", "Connection: close"] + headers
            return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        }

        /// The response of an honest server that knows ranges.
        public func honest(_ headers: [String] = [], validator: String? = "ETag: \"v\"") -> [UInt8] {
            let all = headers + (validator.map { [$0] } ?? [])
            guard !content.isEmpty else { return respond("404 Not Found", ["Content-Length: 0"], []) }
            guard let start else { return respond("200 OK", all + ["Content-Length: \(content.count)"], content) }
            guard start < content.count else {
                return respond("416 Range Not Satisfiable", ["Content-Range: bytes */\(content.count)"], [])
            }
            return respond(
                "206 Partial Content",
                all + [
                    "Content-Range: bytes \(start)-\(content.count - 1)/\(content.count)",
                    "Content-Length: \(content.count - start)",
                ],
                Array(content[start...]))
        }

        /// The same, cut after some bytes of the body.
        public func cut(_ response: [UInt8], after bytes: Int) -> [UInt8] {
            let end = response.indices.first { response[$0...].starts(with: Array("\r\n\r\n".utf8)) } ?? 0
            return Array(response.prefix(end + 4 + bytes))
        }
    }

    public var port: UInt16 { listener.port }
    private let listener: Listener
    private let log = Log()

    private final class Log: Sendable {
        let targets = Mutex<[(target: String, range: String?)]>([])
    }

    /// - Parameters:
    ///   - files: the content of each path.
    ///   - respond: the bytes of a response; nil for ``Request/honest(_:validator:)``.
    public init(
        _ files: @escaping @Sendable () -> [String: [UInt8]], _ respond: @escaping @Sendable (Request) -> [UInt8]?
    )
        throws
    {
        listener = try Listener("127.0.0.1", backlog: 64) { [log] connection in
            Thread.start { Self.serve(connection, log, files(), respond) }
        }
    }

    public var url: String { "http://127.0.0.1:\(port)" }

    /// The targets and ranges of all requests, in order.
    public var requests: [(target: String, range: String?)] { log.targets.withLock { $0 } }

    private static func serve(
        _ connection: CInt, _ log: Log, _ files: [String: [UInt8]], _ respond: @Sendable (Request) -> [UInt8]?
    ) {
        defer { close(connection) }
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !text.contains("\r\n\r\n") {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        let lines = text.split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
        }
        let words = lines.first?.split(separator: " ") ?? []
        let whole = words.count > 1 ? String(words[1]) : "/"
        // A proxy gets the whole URL.
        let target =
            whole.hasPrefix("http://") ? "/" + whole.split(separator: "/").dropFirst(2).joined(separator: "/") : whole
        let earlier = log.targets.withLock { targets in
            defer { targets.append((target, headers["range"])) }
            return targets.count { $0.target == target }
        }
        let path = String(target.prefix { $0 != "?" })
        let request = Request(target: target, headers: headers, earlier: earlier, content: files[path] ?? [])
        var rest = (respond(request) ?? request.honest())[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
        shutdown(connection, CInt(SHUT_WR))
        // Unread bytes would cause a reset, and the client would lose the response.
        while recv(connection, &buffer, buffer.count, 0) > 0 {}
    }
}
