import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// Each fault at each phase of a request. The worker always reports the error itself, within its own time limits and with
/// little memory.
@Suite struct FaultyServerTests {
    private let rig: Rig
    private let fetch = FetchProgram()

    /// In KiB: the least that a worker needs.
    private static let memory = 65_536
    /// In seconds: above the sum of the worker's own limits, which are a second each.
    private static let patience = 40.0

    init() async throws { rig = try await Rig() }

    enum Job: String, CaseIterable, Sendable { case check, download }

    struct Case: Sendable, CustomTestStringConvertible {
        var fault: FaultyProxy.Fault
        var job: Job
        var isTLS: Bool
        var testDescription: String { "\(fault), \(job) over \(isTLS ? "https" : "http")" }
    }

    static let cases = FaultyProxy.Fault.allCases.flatMap { fault in
        Job.allCases.flatMap { job in [false, true].map { Case(fault: fault, job: job, isTLS: $0) } }
    }

    /// The number of the server's bytes before the fault: none, or up to the status line, the headers or the body. With TLS
    /// they are the server's hello, its certificate, the end of its handshake, then the response.
    private func offsets(_ what: Case) -> [Int] {
        let start = what.isTLS ? [0, 1, 5, 100, 400, 700, 900] : [0, 1, 10, 40, 120]
        return what.job == .check ? start : start + [200_000, 1_500_000, 2_900_000]
    }

    @Test(arguments: cases) func aFaultAtAnyPhaseIsReported(what: Case) async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            if what.isTLS {
                try await TLSFront.run(of: server.port) { front async throws in
                    try await testFault(what, "https://\(front.address)", front.address, TLSFront.port, front.caBundle)
                }
            } else {
                try await testFault(what, "http://127.0.0.1", "127.0.0.1", server.port, nil)
            }
        }
    }

    private func testFault(
        _ what: Case, _ origin: String, _ address: String, _ port: UInt16, _ caBundle: String?
    ) async throws {
        // A download begins with the signature, which another server sends without a fault.
        let sidecar = try RawServer { [rig] _ in
            let bytes = (try? Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)) ?? []
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(bytes.count)\r\n\r\n"
            return [(Array(head.utf8) + bytes, 0)]
        }
        for offset in offsets(what) {
            let proxy = try FaultyProxy(address: address, server: port, fault: what.fault, after: offset)
            let url = "\(origin):\(proxy.port)"
            let limits: (inout ServerConnection) -> Void = {
                $0.caBundle = caBundle
                $0.connectTimeout = 1
                $0.requestTimeout = 1
            }
            let job: FetchJob =
                switch what.job {
                case .check: .check(rig.checkJob(url) { limits(&$0.server) })
                case .download:
                    .download(
                        try rig.job(url) {
                            limits(&$0.connection)
                            // A download that is slower than this for a second ends.
                            $0.lowSpeed = 500_000
                            $0.lowSpeedTime = 1
                            $0.sizeLimit = 4_000_000
                            $0.directory = "\(rig.scratch.path)/staging-\(offset)"
                            $0.verification.sidecarURL = "\(sidecar.url)/v2.minisig"
                        })
                }
            let (reports, end) = try await fetch.run(job, timeLimit: Self.patience, memory: Self.memory)
            let place = "after \(offset) bytes: \(end), \(String(describing: reports.last))"
            #expect(end == .exited(0), "\(place)")
            switch reports.last {
            case .checked(let report)?:
                guard case .transientError(let transientError) = report.response else {
                    Issue.record("\(place)")
                    continue
                }
                #expect(!transientError.line.isEmpty && transientError.line.utf8.count < 600)
                #expect(!rig.scratch.exists("offer.json"), "\(place)")
            case .downloaded(let result, _)?:
                switch result {
                case .transientError: break
                // The signature reveals wrong bytes in the middle of the file.
                case .refused where what.fault == .garbage && !what.isTLS: break
                default: Issue.record("\(place)")
                }
                #expect(!rig.scratch.exists("staging-\(offset)/2.artifact"), "\(place)")
            default: Issue.record("\(place)")
            }
            withExtendedLifetime((proxy, sidecar)) {}
        }
        print("faulty server: \(what.testDescription): \(offsets(what).count) places")
    }

    // MARK: before the connection

    /// The server does not respond to the first packet, because its queue of connections is full.
    @Test(arguments: Job.allCases) func aConnectionThatIsNotAcceptedTimesOut(job: Job) async throws {
        let address = Loopback.address()
        let (listener, port) = try Loopback.listen(address, backlog: 0)
        let waiting = try Loopback.connect(address, port)
        defer {
            close(waiting)
            close(listener)
        }
        let transientError = try await transientError(job, "http://\(address):\(port)")
        #expect(
            transientError?.contains("timed out") == true || transientError?.contains("Timeout") == true,
            "\(transientError ?? "none")")
    }

    @Test(arguments: Job.allCases) func anUnknownHostNameIsReported(job: Job) async throws {
        let transientError = try await transientError(job, "http://server.invalid")
        #expect(transientError?.contains("server.invalid") == true, "\(transientError ?? "none")")
    }

    @Test(arguments: Job.allCases) func aClosedPortIsReported(job: Job) async throws {
        let url = Loopback.unusedPort
        let transientError = try await transientError(job, url)
        #expect(transientError?.contains("8000") == true, "\(transientError ?? "none")")
    }

    private func transientError(_ job: Job, _ url: String) async throws -> String? {
        let check = rig.checkJob(url) { $0.server.connectTimeout = 1 }
        let request: FetchJob =
            switch job {
            case .check: .check(check)
            case .download: .download(try rig.job(url) { $0.connection.connectTimeout = 1 })
            }
        let (reports, end) = try await fetch.run(request, timeLimit: Self.patience, memory: Self.memory)
        #expect(end == .exited(0))
        return switch reports.last {
        case .checked(let report)?:
            if case .transientError(let transientError) = report.response { transientError.line } else { nil }
        case .downloaded(.transientError(let transientError), _)?: transientError.line
        default: nil
        }
    }

    // MARK: endless responses

    static let endless: [(name: String, head: String, more: String)] = [
        ("headers", "HTTP/1.1 200 OK\r\n", "X-More: and more and more and more and more\r\n"),
        ("interim replies", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("one header", "HTTP/1.1 200 OK\r\nX-Long: ", "and more and more and more and more and more"),
        ("the status line", "HTTP/1.1 200 ", "OK and more and more and more and more and more"),
        ("a body", "HTTP/1.1 200 OK\r\n\r\n", "{\"code\":0,\"data\":{\"code\":0,\"data\":{\"code\":0,"),
        (
            "a chunk's length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "000000000000000000000000000000000"
        ),
        (
            "chunk extensions", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            "and=more;and=more;and=more;and=more"
        ),
        (
            "trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
            "X-More: and more and more\r\n"
        ),
    ]

    @Test(arguments: endless.indices, Job.allCases)
    func anEndlessResponseEndsWithAnError(index: Int, job: Job) async throws {
        let (_, head, more) = Self.endless[index]
        let piece = Array(String(repeating: more, count: 2000).utf8)
        let raw = try RawServer { _ in [(Array(head.utf8), 0)] + (0..<400).map { _ in (piece, 0) } }
        let request: FetchJob =
            switch job {
            case .check: .check(rig.checkJob(raw.url) { $0.server.requestTimeout = 10 })
            // The response with the signature has no end.
            case .download: .download(try rig.job(raw.url) { $0.connection.requestTimeout = 10 })
            }
        let (reports, end) = try await fetch.run(request, timeLimit: Self.patience, memory: Self.memory)
        #expect(end == .exited(0))
        #expect(reports.last?.isFailure == true, "\(String(describing: reports.last))")
    }

    // MARK: compression

    /// The worker does not request compression, so nothing is unpacked. If libcurl unpacks it unrequested, the limits end it.
    @Test(arguments: ["Content-Encoding", "Transfer-Encoding"], Job.allCases)
    func aGzipBombEndsWithAnError(header: String, job: Job) async throws {
        // Some 500 KB that unpack to 500 MB.
        try await execute("sh", ["-c", "head -c 500000000 /dev/zero | gzip >bomb"], in: rig.scratch.path)
        let bomb = try Files.read("\(rig.scratch.path)/bomb", limit: 1 << 20)
        let sidecar = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        let raw = try RawServer { connection in
            if job == .download, connection == 1 {
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(sidecar.count)\r\n\r\n"
                return [(Array(head.utf8) + sidecar, 0)]
            }
            let length = header == "Transfer-Encoding" ? "" : "Content-Length: \(bomb.count)\r\n"
            return [(Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\(header): gzip\r\n\(length)\r\n".utf8) + bomb, 0)]
        }
        let request: FetchJob =
            switch job {
            case .check: .check(rig.checkJob(raw.url))
            case .download: .download(try rig.job(raw.url) { $0.sizeLimit = 10_000_000 })
            }
        let (reports, end) = try await fetch.run(request, timeLimit: Self.patience, memory: Self.memory)
        #expect(end == .exited(0))
        #expect(reports.last?.isFailure == true, "\(String(describing: reports.last))")
    }

    // MARK: hostile headers

    @Test(
        arguments: [
            "Location: \u{1B}]0;owned\u{7}\r\n", "Retry-After: -99999999999999999999999999\r\n",
            "Date: \u{0}\u{0}\r\n", "Content-Length: 99999999999999999999999\r\n",
            "Content-Length: 5\r\nContent-Length: 7\r\n",
            ": no name\r\n", "No colon at all\r\n", "\u{0}: x\r\n", "Retry-After: Fri, 31 Feb 99999 25:61:61 GMT\r\n",
            "Set-Cookie: \(String(repeating: "x", count: 90_000))\r\n",
        ])
    func hostileHeadersCauseATransientError(header: String) async throws {
        for status in ["200 OK", "302 Found", "429 Slow down", "503 Down"] {
            let raw = try RawServer { _ in [(Array("HTTP/1.1 \(status)\r\n\(header)\r\n{\"code\":".utf8), 0)] }
            let (reports, end) = try await fetch.run(.check(rig.checkJob(raw.url)), memory: Self.memory)
            #expect(end == .exited(0))
            guard case .checked(let report)? = reports.last, case .transientError(let transientError) = report.response
            else {
                Issue.record("\(status): \(String(describing: reports.last))")
                continue
            }
            #expect(
                !transientError.line.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F },
                "\(transientError.line)")
            #expect(
                (transientError.retryAfter ?? 0) <= PollSchedule.retryAfterLimit
                    && (transientError.retryAfter ?? 0) >= 0)
        }
    }
}

extension FetchReport {
    /// Whether it reports a transient error or a refusal.
    fileprivate var isFailure: Bool {
        switch self {
        case .checked(let report): if case .transientError = report.response { true } else { false }
        case .downloaded(.transientError, _), .downloaded(.refused, _): true
        default: false
        }
    }
}
