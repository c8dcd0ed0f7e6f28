import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@Suite struct CheckTests {
    private let rig: Rig
    private let fetch = FetchProgram()

    init() async throws { rig = try await Rig() }

    private func check(
        _ faults: [Fault] = [], clockOffset: Double = 0, change: @Sendable (inout CheckJob) -> Void = { _ in }
    ) async throws -> (report: CheckReport?, server: [RequestRecord]) {
        var configuration = rig.configuration(faults)
        configuration.clockOffset = clockOffset
        return try await SimulatedServer.run(configuration) { server async throws in
            let report = try await fetch.check(rig.checkJob(server.url, change: change))
            return (report, await server.records)
        }
    }

    @Test func aGrantedOfferIsStoredBeforeItIsReported() async throws {
        let (report, _) = try await check()
        guard case .offer(let offer)? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
        let stored = try JSONLine.decode(Offer.self, from: Files.read("\(rig.scratch.path)/offer.json", limit: 65_536))
        #expect(stored == offer)
    }

    @Test func anOfferThatCannotBeStoredIsReported() async throws {
        let (report, _) = try await check { $0.inbox = "/nonexistent/offer.json" }
        guard case .offer? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
    }

    @Test func latestStoresNoOffer() async throws {
        let (report, _) = try await check { $0.checkRequest.versionCode = 2 }
        #expect(report?.response == .latest)
        #expect(!rig.scratch.exists("offer.json"))
    }

    @Test(arguments: [3600.0, -3600, 1.7e9])
    func aWrongClockIsCorrectedOnceWithTheServersTime(offset: Double) async throws {
        let (report, requests) = try await check(clockOffset: offset)
        guard case .offer? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
        let serverTime = report?.serverClock?.time(at: Clock.bootTime, bootID: try Clock.bootID())
        #expect(abs((serverTime ?? WallTime(unixSeconds: 0)) - (Clock.wallTime + offset)) < 60)
        #expect(requests.map(\.code) == [401_001, 200])
        let nonces = requests.compactMap { $0.headers["x-nonce"] }
        #expect(Set(nonces).count == 2, "a nonce is used once")
        // A later poll uses the server's time in its first request.
        let (second, laterRequests) = try await check(clockOffset: offset) { $0.serverClock = report?.serverClock }
        #expect(laterRequests.map(\.code) == [200])
        #expect(second?.serverClock == nil)
    }

    @Test func wrongKeysAreNotTakenForAWrongClock() async throws {
        let (report, requests) = try await check { $0.credentials.secretKey = Secret("wrong") }
        guard case .misconfigured(let problem)? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
        #expect(problem.code == 401_002 && problem.line.contains("[credentials]") && !problem.line.contains("wrong"))
        #expect(requests.count == 1)
    }

    @Test func aServerThatKeepsRefusingReceivesTwoRequestsAtMost() async throws {
        let fault = Fault(path: "/v1", status: 401, headers: ["Date": "Sun, 06 Nov 1994 08:49:37 GMT"])
        let (report, requests) = try await check([fault])
        guard case .misconfigured? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
        #expect(requests.count == 2)
    }

    @Test func aBodyAboveOneMebibyteIsNotReadToItsEnd() async throws {
        let (report, _) = try await check([Fault(path: "/v1", body: String(repeating: "x", count: 2_000_000))])
        #expect(report?.response == .transientError(.unreadable("the reply is longer than 1.0 MB")))
    }

    @Test func redirectsAreNotFollowed() async throws {
        let (report, requests) = try await check([Fault(path: "/v1", redirect: "/files/v2")])
        guard case .transientError(.unreadable(let line))? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
        #expect(line.contains("set server.url"))
        #expect(requests.count == 1)
    }

    @Test func aServerThatDoesNotRespondTimesOut() async throws {
        // The server responds after four seconds.
        let (report, _) = try await check([Fault(path: "/v1", delay: 4)]) { $0.server.requestTimeout = 1 }
        guard case .transientError(.network(let line))? = report?.response else {
            Issue.record("\(String(describing: report))")
            return
        }
        #expect(line.contains("timed out"), "\(line)")
    }

    @Test func aRefusedConnectionIsReported() async throws {
        let url = Loopback.unusedPort
        let job = rig.checkJob(url)
        guard case .transientError(.network(let line))? = try await fetch.check(job)?.response else {
            Issue.record("not named")
            return
        }
        #expect(line.contains(url.dropFirst("http://".count).prefix { $0 != ":" }))
    }

    @Test(
        arguments: [
            "", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 999999999999 X\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        ])
    func brokenHTTPIsATransientError(bytes: String) async throws {
        let raw = try RawServer { _ in [(Array(bytes.utf8), 0)] }
        guard case .transientError? = try await fetch.check(rig.checkJob(raw.url))?.response else {
            Issue.record("not a transient error")
            return
        }
    }

    @Test func requestsGoThroughTheProxy() async throws {
        let proxy = try RawServer { _ in
            [
                (Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"code\":0}".utf8), 0)
            ]
        }
        var job = rig.checkJob("http://server.invalid")
        job.server.proxy = try ProxyURL(proxy.url)
        #expect(try await fetch.check(job)?.response == .latest)
        #expect(
            proxy.requests.first?.hasPrefix("POST http://server.invalid/v1/url/upgrade HTTP/1.1\r\n") == true,
            "\(proxy.requests)")
    }

    @Test func thePathPrefixOfTheServerIsSignedUnlessOverridden() async throws {
        let raw = try RawServer { _ in [(Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"code\":0}".utf8), 0)] }
        let report = try await fetch.check(rig.checkJob("\(raw.url)/gateway/"))
        #expect(report?.response == .latest)
        #expect(raw.requests.first?.hasPrefix("POST /gateway/v1/url/upgrade HTTP/1.1\r\n") == true)
        // Behind a gateway that strips the prefix the server receives another path; the simulator checks its signature.
        let (stripped, _) = try await check { $0.server.signingPath = "/v1/url/upgrade" }
        guard case .offer? = stripped?.response else {
            Issue.record("\(String(describing: stripped))")
            return
        }
        let (wrong, _) = try await check { $0.server.signingPath = "/other/v1/url/upgrade" }
        guard case .misconfigured(let problem)? = wrong?.response else {
            Issue.record("\(String(describing: wrong))")
            return
        }
        #expect(problem.line.contains("server.signingPath"))
    }

    // MARK: reports

    @Test func reportsAreDelivered() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            func report(_ urlKey: String) async throws -> FetchReport? {
                let check = rig.checkJob(server.url)
                let job = ReportJob(
                    server: check.server, credentials: check.credentials, serverClock: nil, urlKey: urlKey,
                    devModelKey: nil, devKey: "d",
                    report: Report(kind: .appStart(versionCode: 1), time: Clock.wallTime))
                return try await fetch.run(.report(job)).reports.last
            }
            #expect(try await report("device") == .reported(.delivered))
            guard case .reported(.transientError(.server(500, _, _)))? = try await report("unknown") else {
                Issue.record("a report of an unknown application causes HTTP 500")
                return
            }
        }
    }

    // MARK: libraries

    /// A damaged library is reported with its remedy, as a transient error.
    @Test(arguments: [("libcurl.so.4", "libcurl4"), ("libcrypto.so.3", "libssl3")])
    func aLibraryThatCannotBeLoadedIsNamed(library: String, package: String) async throws {
        try rig.scratch.write("libraries/\(library)", "")
        let libraries = "\(rig.scratch.path)/libraries"
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            let jobs: [FetchJob] = [.check(rig.checkJob(server.url)), .download(try rig.job(server.url))]
            for job in jobs {
                let transientError: TransientError? =
                    switch try await fetch.run(job, libraries: libraries).reports.last {
                    case .checked(let report)?:
                        if case .transientError(let transientError) = report.response { transientError } else { nil }
                    case .downloaded(.transientError(let transientError), _)?: transientError
                    default: nil
                    }
                let line = try #require(transientError).line
                #expect(line.contains(library) && line.contains("install") && line.contains(package), "\(line)")
            }
            #expect(await server.records.isEmpty)
        }
    }

    // MARK: TLS

    @Test func httpsUsesTheConfiguredAuthority() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            try await TLSFront.run(of: server.port) { front async throws in
                let trusted = try await fetch.check(rig.checkJob(front.url) { $0.server.caBundle = front.caBundle })
                guard case .offer? = trusted?.response else {
                    Issue.record("\(String(describing: trusted))")
                    return
                }
                let untrusted = try await fetch.check(rig.checkJob(front.url))
                guard case .transientError(.tls)? = untrusted?.response else {
                    Issue.record("\(String(describing: untrusted))")
                    return
                }
            }
        }
    }

    /// One connection, with one handshake, serves the signature and the file, or both requests of an update check.
    @Test func aConnectionIsReused() async throws {
        var configuration = rig.configuration()
        configuration.clockOffset = 7200
        try await SimulatedServer.run(configuration) { server async throws in
            let locations = "location /status { stub_status; }"
            try await TLSFront.run(of: server.port, locations: locations) { front async throws in
                func connections() async throws -> Int {
                    try await execute(
                        "sh",
                        ["-c", "curl -s --cacert \(front.caBundle) \(front.url)/status >\(rig.scratch.path)/status"])
                    let text = try rig.scratch.read("status")
                    return text.split(separator: "\n").dropFirst(2).first.flatMap { Int($0.split(separator: " ")[0]) }
                        ?? 0
                }
                let before = try await connections()
                let report = try await fetch.check(rig.checkJob(front.url) { $0.server.caBundle = front.caBundle })
                #expect(report?.serverClock != nil, "it sent two requests")
                // One of the two connections is that of `connections()`.
                #expect(try await connections() == before + 2)
                let result = try await fetch.download(rig.job(front.url) { $0.connection.caBundle = front.caBundle })
                #expect(try rig.isComplete(result))
                #expect(try await connections() == before + 4)
            }
        }
    }

    @Test func aClientCertificateIsSent() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            try await TLSFront.run(of: server.port, needsClient: true) { front async throws in
                let known = try await fetch.check(
                    rig.checkJob(front.url) {
                        $0.server.caBundle = front.caBundle
                        $0.server.clientCertificate = front.clientCertificate
                        $0.server.clientKey = front.clientKey
                    })
                guard case .offer? = known?.response else {
                    Issue.record("\(String(describing: known))")
                    return
                }
                let unknown = try await fetch.check(rig.checkJob(front.url) { $0.server.caBundle = front.caBundle })
                guard case .misconfigured(let misconfiguration)? = unknown?.response else {
                    Issue.record("nginx responds with 400: \(String(describing: unknown))")
                    return
                }
                #expect(
                    misconfiguration.line
                        == "the server refuses this device: HTTP 400, a client certificate is required: "
                        + "set server.clientCertificate and server.clientKey")
                let download = try await fetch.download(rig.job(front.url) { $0.connection.caBundle = front.caBundle })
                guard case .transientError(let error)? = download else {
                    Issue.record("\(String(describing: download))")
                    return
                }
                #expect(error.line.contains("a client certificate is required: set server.clientCertificate"))
            }
        }
    }

    @Test func aRedirectFromHTTPSToHTTPIsRefused() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            try await TLSFront.run(of: server.port, locations: "location /files/ { return 302 \(server.url)$uri; }") {
                front async throws in
                let job = try rig.job(front.url) { $0.connection.caBundle = front.caBundle }
                guard case .transientError(let error)? = try await fetch.download(job) else {
                    Issue.record("it was followed")
                    return
                }
                #expect(error.line.hasPrefix("a redirect from https to http"))
            }
        }
    }

    @Test func aDigestNextToTheFileIsAcceptedOverHTTPS() async throws {
        let digest = try await sha256(of: "\(rig.scratch.path)/files/v2")
        try rig.scratch.write("files/v2.sha256", "\(digest)  v2\n")
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            try await TLSFront.run(of: server.port) { front async throws in
                for mode in [VerificationPolicy.Mode.sha256, .none] {
                    let change: (inout DownloadJob) -> Void = {
                        $0.connection.caBundle = front.caBundle
                        $0.verification = VerificationPolicy(
                            mode: mode, keys: [], sidecarURL: "{url}.sha256", requireVersionCode: true)
                    }
                    guard case .verified? = try await fetch.download(rig.job(front.url, change: change)) else {
                        Issue.record("\(mode) over https")
                        return
                    }
                    guard case .refused? = try await fetch.download(rig.job(server.url, change: change)) else {
                        Issue.record("\(mode) over http")
                        return
                    }
                    try Files.removeTree(rig.staging)
                }
            }
        }
    }

    private func sha256(of path: String) async throws -> String {
        try await execute("sh", ["-c", "sha256sum \(path) | cut -c1-64 >\(rig.scratch.path)/digest"])
        return try rig.scratch.read("digest").filter { $0 != "\n" }
    }
}
