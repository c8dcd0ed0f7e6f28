import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// Whole updates from file servers as the Internet has them. The update server grants the offer once; each fault lasts for some
/// requests and then ends, or stays if an honest server is like that. Every device ends updated.
@Suite struct FileFaultTests {
    typealias Request = FileHost.Request

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        /// How many requests for each target it affects; nil for all.
        var times: Int? = 2
        /// Only the file or only the signature, by the end of the path; nil for both.
        var only: String?
        /// What the status says meanwhile.
        var says: String?
        var response: @Sendable (Request) -> [UInt8]

        var testDescription: String { name }
    }

    static let page = Array("<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>".utf8)

    /// A refusal by a status, for the file and the signature.
    static let statuses: [Case] =
        [
            400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422,
            423, 424, 425,
            426, 428, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 509, 511, 520, 522, 530, 599, 201, 202,
            204, 205, 300, 304,
            305,
        ].map { status in
            Case(name: "HTTP \(status)", says: "HTTP \(status)") {
                $0.respond("\(status) Whatever", ["Content-Length: 0"], [])
            }
        }
        + [429].map { status in
            Case(name: "HTTP \(status)", says: "rate limit") { $0.respond("\(status) No", ["Content-Length: 0"], []) }
        }

    static let contents: [Case] = [
        Case(name: "a captive portal", says: "got a web page instead of the signature: captive portal or filter?") {
            $0.respond("200 OK", ["Content-Type: text/html", "Content-Length: \(page.count)"], page)
        },
        Case(name: "a captive portal for the file only", only: "/v2", says: "got a web page instead of the file") {
            $0.respond("200 OK", ["Content-Type: text/html", "Content-Length: \(page.count)"], page)
        },
        Case(name: "a captive portal's redirect", says: "got a web page instead of the signature") {
            $0.target.hasPrefix("/login")
                ? $0.respond("200 OK", ["Content-Type: text/html"], page)
                : $0.respond("302 Found", ["Location: /login"], [])
        },
        Case(name: "an empty body", says: "got an empty signature") { $0.respond("200 OK", ["Content-Length: 0"], []) },
        Case(name: "an empty file", only: "/v2", says: "got an empty file") {
            $0.respond("200 OK", ["Content-Length: 0"], [])
        },
        Case(name: "a stale copy", only: "/v2", says: "its content is not what was signed") {
            let stale = [UInt8]($0.content.reversed())
            return $0.respond("200 OK", ["Content-Length: \(stale.count)"], stale)
        },
        Case(name: "a stale copy that is longer", only: "/v2", says: "its content is not what was signed") {
            let stale = $0.content + $0.content
            return $0.respond("200 OK", ["Content-Length: \(stale.count)"], stale)
        },
        Case(name: "a stale copy that is shorter", only: "/v2", says: "its content is not what was signed") {
            let stale = [UInt8]($0.content.prefix(1000))
            return $0.respond("200 OK", ["Content-Length: \(stale.count)"], stale)
        },
        Case(name: "garbage as signature", only: ".minisig", says: "its signature file makes no sense") {
            $0.respond("200 OK", ["Content-Length: 7"], Array("garbage".utf8))
        },
        Case(name: "a compressed signature", only: ".minisig", says: "got a compressed signature") {
            $0.respond("200 OK", ["Content-Encoding: gzip", "Content-Length: 4"], [0x1F, 0x8B, 8, 0])
        },
        Case(name: "a body without a length that was cut", times: 3, only: "/v2", says: "may have been cut") {
            $0.respond("200 OK", [], Array($0.content.prefix(100_000)))
        },
        Case(name: "a redirect to nowhere", says: "without a usable Location") { $0.respond("302 Found", [], []) },
        Case(name: "a redirect to nonsense", says: "without a usable Location") {
            $0.respond("302 Found", ["Location: http://"], [])
        },
        Case(name: "a redirect loop", times: 30, says: "more than 10 redirects") {
            $0.respond("302 Found", ["Location: \($0.target)"], [])
        },
        Case(name: "a redirect to another scheme", says: "without a usable Location") {
            $0.respond("302 Found", ["Location: ftp://127.0.0.1/x"], [])
        },
        Case(name: "206 without a request for a range", only: "/v2", says: "HTTP 206 without a usable Content-Range") {
            $0.respond("206 Partial Content", ["Content-Length: 3"], [1, 2, 3])
        },
        Case(name: "a wrong length", only: "/v2") {
            $0.respond("200 OK", ["Content-Length: \($0.content.count + 100)"], $0.content)
        },
        Case(name: "no response", says: "cannot be reached") { _ in [] },
        Case(name: "no HTTP", says: "cannot be reached") { _ in Array("SSH-2.0-OpenSSH_9.2\r\n".utf8) },
        Case(name: "a head that does not end", says: "cannot be reached") { _ in Array("HTTP/1.1 200 OK\r\nX: y".utf8)
        },
    ]

    /// Cuts the body each time, and knows ranges in a special way.
    private static func piecewise(_ name: String, _ response: @escaping @Sendable (Request) -> [UInt8]) -> Case {
        Case(name: name, times: nil, only: "/v2") { request in
            request.earlier < 3 ? request.cut(response(request), after: 150_000) : response(request)
        }
    }

    private static func range(
        _ request: Request, _ contentRange: (Int, Int) -> String, _ headers: [String] = []
    ) -> [UInt8] {
        guard let start = request.start, start < request.content.count else {
            return request.honest(headers, validator: nil)
        }
        return request.respond(
            "206 Partial Content", headers + [contentRange(start, request.content.count)],
            Array(request.content[start...]))
    }

    /// Servers that are honest, and unlike others. The device must not fetch much more than the file.
    static let oddities: [Case] = [
        piecewise("no validator") { $0.honest(validator: nil) },
        piecewise("a weak ETag") { $0.honest(validator: "ETag: W/\"v\"") },
        piecewise("another ETag from each node") { $0.honest(validator: "ETag: \"\($0.earlier)\"") },
        piecewise("another Last-Modified from each node") {
            $0.honest(validator: "Last-Modified: Mon, 0\($0.earlier + 1) Jun 2026 00:00:00 GMT")
        },
        piecewise("a total of *") { range($0, { "Content-Range: bytes \($0)-\($1 - 1)/*" }) },
        piecewise("blanks in Content-Range") { range($0, { "Content-Range:  bytes  \($0) - \($1 - 1) / \($1)  " }) },
        piecewise("Bytes in Content-Range") { range($0, { "Content-Range: Bytes \($0)-\($1 - 1)/\($1)" }) },
        piecewise("a label of gzip") { $0.honest(["Content-Encoding: gzip"]) },
        piecewise("a label of x-tar") { $0.honest(["Content-Encoding: x-tar", "Content-Type: text/html"]) },
        piecewise("no ranges") { $0.respond("200 OK", ["Content-Length: \($0.content.count)"], $0.content) },
        piecewise("no length") { $0.respond("200 OK", [], $0.content) },
        piecewise("416 for every range") {
            $0.start == nil ? $0.honest() : $0.respond("416 Range Not Satisfiable", ["Content-Length: 0"], [])
        },
        piecewise("a range from another offset") { request in
            guard let start = request.start else { return request.honest() }
            let first = max(0, start - 10_000)
            return request.respond(
                "206 Partial Content",
                ["Content-Range: bytes \(first)-\(request.content.count - 1)/\(request.content.count)"],
                Array(request.content[first...]))
        },
        Case(name: "ranges of 64 KiB", times: nil, only: "/v2") { request in
            let start = request.start ?? 0
            let end = min(start + 65_536, request.content.count)
            guard start < end else { return request.honest() }
            return request.respond(
                "206 Partial Content", ["Content-Range: bytes \(start)-\(end - 1)/\(request.content.count)"],
                Array(request.content[start..<end]))
        },
        Case(name: "a redirect by query only", times: nil, only: "/v2") {
            $0.target.contains("?") ? $0.honest() : $0.respond("302 Found", ["Location: ?token=http://a/b c"], [])
        },
        Case(name: "a redirect with blanks", times: nil, only: "/v2") {
            $0.respond("302 Found", ["Location:    /files/copy   "], [])
        },
        Case(name: "a redirect with bytes that are not ASCII", times: nil, only: "/v2") {
            $0.respond("302 Found", ["Location: copy?né"], [])
        },
        Case(name: "a redirect with dots", times: nil, only: "/v2") {
            $0.respond("302 Found", ["Location: ../x/./../files/copy#part"], [])
        },
        Case(name: "203", times: nil) {
            $0.respond("203 Non-Authoritative", ["Content-Length: \($0.content.count)"], $0.content)
        },
        Case(name: "a signature with CRLF and a mark", times: nil, only: ".minisig") {
            let lines = String(decoding: $0.content, as: UTF8.self).replacing("\n", with: " \r\n")
            return $0.respond("200 OK", [], [0xEF, 0xBB, 0xBF] + Array(lines.utf8))
        },
        Case(name: "a signature labelled as web page", times: nil, only: ".minisig") {
            $0.honest(["Content-Type: text/html", "Content-Encoding: none"])
        },
    ]

    @Test(arguments: statuses + contents) func aFaultThatEndsLosesNoOffer(of fault: Case) async throws {
        _ = try await update(fault)
    }

    @Test(arguments: oddities) func anHonestServersFileIsInstalled(from server: Case) async throws {
        let host = try await update(server)
        // Without ranges, each of the four requests may be for the whole file.
        let ranges = host.requests.filter { $0.target.hasPrefix("/files/v2") && !$0.target.contains("minisig") }
        #expect(ranges.count <= 12, "\(ranges)")
    }

    private func update(_ fault: Case) async throws -> FileHost {
        let device = try await AgentDevice()
        var version = try await device.publish(2, ballast: 400_000)
        version.staged = 1
        let files = "\(device.scratch.path)/files"
        let content = try ["v2", "v2.minisig"].reduce(into: [String: [UInt8]]()) {
            $0["/files/\($1)"] = try Files.read("\(files)/\($1)", limit: 1 << 20)
        }
        let all = content.merging(["/files/copy": content["/files/v2"] ?? []]) { $1 }
        let host = try FileHost({ all }) { request in
            let path = String(request.target.prefix { $0 != "?" })
            if path.hasSuffix("/copy") { return nil }
            if let only = fault.only, !path.hasSuffix(only) { return nil }
            return request.earlier < fault.times ?? Int.max ? fault.response(request) : nil
        }
        version.file = "\(host.url)/files/v2"
        try await SimulatedServer.run(device.server([version])) { [version] server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(
                    await agent.updates(to: 2, server), "\(version.file): \(agent.statuses.suffix(3)) \(host.requests)")
                if let says = fault.says {
                    #expect(agent.statuses.contains { $0.contains(says) }, "\(says): \(agent.statuses)")
                }
            }
        }
        #expect(device.runs == 2)
        return host
    }
}
