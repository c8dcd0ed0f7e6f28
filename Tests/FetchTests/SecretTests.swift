import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// No report of the worker contains a password or a key, whatever the proxy, the server and libcurl say.
@Suite struct SecretTests {
    private let rig: Rig
    private static let password = "p@ss/w0rd+quite:long"
    private static let userInfo = "operator:p%40ss%2Fw0rd%2Bquite%3Along"
    /// What may show the password, and parts of it that are long enough to be recognised. The last one is the header
    /// `Proxy-Authorization`.
    private static let traces = [
        password, "p%40ss", "ss/w0rd", "w0rd", "quite", "b3BlcmF0b3I6cEBzcy93MHJkK3F1aXRlOmxvbmc", "b3BlcmF0b3I6cEBz",
    ]

    init() async throws { rig = try await Rig() }

    /// All that the worker prints for an update check, a report and a download, and how the check and the download end.
    private func output(
        server: String, proxy: String?, environment: [String: String] = [:], secretKey: String = "sk"
    ) async throws -> String {
        let connection = ServerConnection(
            url: server, proxy: try proxy.map { try ProxyURL($0) }, connectTimeout: 5, requestTimeout: 5)
        let credentials = Credentials(accessKey: "ak", secretKey: Secret(secretKey))
        let check = rig.checkJob(server) { ($0.server, $0.credentials) = (connection, credentials) }
        let download = try rig.job(server) { $0.connection = connection }
        let report = ReportJob(
            server: connection, credentials: credentials, serverClock: nil, urlKey: Rig.urlKey, devModelKey: nil,
            devKey: "d",
            report: Report(kind: .download(running: 1, version: 2, code: 0), time: WallTime(unixSeconds: 0)))
        var text = ""
        for job in [FetchJob.check(check), .download(download), .report(report)] {
            let assignments = environment.map { "\($0.key)=\($0.value)" }
            let program = Program(
                "/usr/bin/env",
                assignments + ["sh", "-c", "exec \"$0\" 2>&1", "\(programsDirectory)/upgradelink-fetch"],
                streams: .pipes(), timeLimit: 60)
            let (lines, _, end) = await program.run(try JSONLine.encode(job))
            #expect(end == .exited(0) && !lines.isEmpty)
            text += lines.joined(separator: "\n") + "\n"
        }
        return text
    }

    private func expectNoTrace(_ text: String, _ traces: [String] = traces) {
        for trace in traces { #expect(!text.contains(trace), "\(trace) in \(text)") }
    }

    @Test(arguments: ["http://server.invalid", "https://server.invalid"])
    func aProxyThatRefuses(server: String) async throws {
        for status in ["407 Proxy Authentication Required", "403 Forbidden"] {
            let proxy = try FileHost({ [:] }) { _ in Array("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n".utf8) }
            let text = try await output(server: server, proxy: "http://\(Self.userInfo)@127.0.0.1:\(proxy.port)")
            #expect(text.contains("proxy") || text.contains("403"), "\(text)")
            expectNoTrace(text)
        }
    }

    /// The proxy repeats the request's head in its response, as debugging proxies do, at each place that messages quote.
    @Test func aProxyThatRepeatsItsRequest() async throws {
        for start in ["{\"code\":400001,\"msg\":\"", "", "HTTP/1.1 302 Found\r\nLocation: "] {
            for skipped in [0, 30] {
                let proxy = try FileHost({ [:] }) { request in
                    let token = request.headers["proxy-authorization"] ?? "nothing"
                    let filler = String(repeating: "x", count: skipped)
                    let echo = "\(filler) \(token) \(Self.password) \(Self.userInfo) http://\(Self.userInfo)@h/"
                    if start.hasPrefix("HTTP") {
                        return Array("\(start)\(echo)\r\nContent-Length: 0\r\n\r\n".utf8)
                    }
                    let body = start + echo + (start.isEmpty ? "" : "\",\"traceId\":\"\(Self.password)\"}")
                    return Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
                }
                let text = try await output(
                    server: "http://server.invalid", proxy: "http://\(Self.userInfo)@127.0.0.1:\(proxy.port)")
                #expect(text.contains("***"), "\(text)")
                expectNoTrace(text)
            }
        }
    }

    @Test func aProxyThatCannotBeReached() async throws {
        let closing = try RawServer { _ in [] }
        for place in [
            "http://USER@proxy.invalid:3128", "socks5h://USER@proxy.invalid", "socks4a://USER@127.0.0.1:1",
            "http://USER@127.0.0.1:1", "http://USER@\(closing.authority)",
            "socks5://USER@\(closing.authority)",
            "https://USER@\(closing.authority)",
        ] {
            let proxy = place.replacing("USER", with: Self.userInfo)
            let text = try await output(server: "http://server.invalid", proxy: proxy)
            #expect(text.contains("network") || text.contains("tls") || text.contains("unreadable"), "\(text)")
            expectNoTrace(text)
        }
    }

    /// libcurl quotes a wrong proxy. Those of environment variables are not checked.
    @Test(arguments: [
        "http://operator:p@ss/w0rd+quite:long@127.0.0.1:1", "nosuch://operator:w0rd@127.0.0.1:1",
        "http://operator:w0rd@127.0.0.1:port", "operator:w0rd@127.0.0.1:99999", "http://w0rd@[::",
        "w0rd@proxy .invalid",
    ])
    func aWrongProxyInTheEnvironment(proxy: String) async throws {
        let text = try await output(
            server: "http://server.invalid", proxy: nil, environment: ["http_proxy": proxy, "https_proxy": proxy])
        expectNoTrace(text, ["w0rd", "ss/w"])
    }

    @Test func passwordsInOtherAddresses() async throws {
        let host = try FileHost({ [:] }) { request in
            let head = "HTTP/1.1 302 Found\r\nLocation: ftp://other:w0rd-of-another@h/?w0rd-token\r\n"
            return Array("\(head)X: \(request.headers["authorization"] ?? "")\r\nContent-Length: 0\r\n\r\n".utf8)
        }
        let text = try await output(
            server: "http://\(Self.userInfo)@127.0.0.1:\(host.port)", proxy: nil, secretKey: "a-very-secret-key")
        #expect(text.contains("ftp://***@h/") || text.contains("a redirect to"), "\(text)")
        expectNoTrace(text, Self.traces.filter { $0 != "w0rd" } + ["w0rd-of-another", "a-very-secret-key"])
    }

    /// The server's time is read without a trusted connection, and therefore without the password in server.url.
    @Test func theUntrustedRequestHasNoPassword() async throws {
        let server = try RawServer(address: "127.0.0.1") { _ in
            [
                (
                    Array(
                        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 10\r\n\r\n{\"code\":0}"
                            .utf8), 0
                )
            ]
        }
        try await TLSFront.run(of: server.port, validDays: -1) { front async throws in
            let url = front.url.replacing("https://", with: "https://\(Self.userInfo)@")
            let report = try await FetchProgram().check(rig.checkJob(url) { $0.server.caBundle = front.caBundle })
            #expect(
                report?.isOutOfDate == true && report?.serverTime != nil,
                "\(String(describing: report)) \(server.requests)")
            #expect(!server.requests.isEmpty)
            for request in server.requests { #expect(!request.lowercased().contains("authorization")) }
        }
    }

    /// A header of another kind could be put into the request by a key with a line break: another version of the agent may not
    /// check this.
    @Test func aKeyWithALineBreakIsNotSent() async throws {
        let server = try RawServer { _ in [(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"code\":0}".utf8), 0)]
        }
        let job = rig.checkJob(server.url) { $0.credentials.accessKey = "ak\r\nX-Injected: 1" }
        guard case .transientError(let error)? = try await FetchProgram().check(job)?.response else {
            Issue.record("it was sent")
            return
        }
        #expect(error.line.contains("X-AccessKey") && server.requests.isEmpty)
    }
}
