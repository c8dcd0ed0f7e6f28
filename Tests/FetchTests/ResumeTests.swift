import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What of a partial file stays, and what is fetched again, with servers that answer byte by byte.
@Suite struct ResumeTests {
    private let rig: Rig
    private let fetch = FetchProgram()
    private static let page = Array("<html><body>Please log in</body></html>".utf8)

    init() async throws { rig = try await Rig() }

    private func host(_ respond: @escaping @Sendable (FileHost.Request) -> [UInt8]?) throws -> FileHost {
        let content = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        let signature = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        return try FileHost({
            ["/files/v2": content, "/new/v2": content, "/files/v2.minisig": signature, "/new/v2.minisig": signature]
        }) { $0.target.contains(".minisig") ? nil : respond($0) }
    }

    private var partialSize: Int { (try? Files.read("\(rig.staging)/2.part", limit: 1 << 30).count) ?? 0 }

    private func line(_ result: DownloadResult?) -> String {
        switch result {
        case .transientError(let error)?: error.line
        case .noSpace(let text)?, .refused(let text, _)?, .gone(let text)?: text
        default: "\(String(describing: result))"
        }
    }

    private func received(_ job: DownloadJob) async throws -> (DownloadResult?, DownloadTraffic) {
        guard case .downloaded(let result, let traffic)? = try await fetch.run(.download(job)).reports.last else {
            return (nil, DownloadTraffic())
        }
        return (result, traffic)
    }

    /// Something else has the name of a staging file: the download replaces it, without waiting.
    @Test(.timeLimit(.minutes(2)), arguments: ["part", "part.json", "artifact", "sidecar"], Planted.allCases)
    func aPlantedStagingFileIsReplaced(suffix: String, planted: Planted) async throws {
        let host = try host { $0.honest() }
        try Files.createDirectory(rig.staging)
        try planted.plant(at: "\(rig.staging)/2.\(suffix)")
        let result = try await fetch.download(try rig.job(host.url), timeLimit: 40)
        #expect(try rig.isComplete(result), "\(line(result))")
    }

    /// A portal, an error page and an empty body come while a part of the file is there.
    @Test(
        arguments: [
            ("200 OK", ["Content-Type: text/html"], page, "got a web page instead of the file"),
            ("200 OK", [], Array("\r\n<!doctype HTML>".utf8), "got a web page instead of the file"),
            ("200 OK", ["Content-Length: 0"], [], "the response ended after 0 B"),
            (
                "200 OK", ["Content-Type: text/plain", "Content-Length: 18"], Array("blocked by policy\n".utf8),
                "the response of 18 B is not the file that was begun, and the file has 3.0 MB; it begins with \"blocked by policy"
            ),
            ("200 OK", [], Array("{\"error\": 17}".utf8), "it begins with \"{\"error\": 17}\""),
            ("200 OK", ["Content-Length: 1"], [0], "the response of 1 B is not the file"),
            ("200 OK", [], Array("<!-- portal -->\n<html>".utf8), "got a web page instead of the file"),
            ("403 Forbidden", [], page, "HTTP 403 for the file: access is denied; has the address expired?"),
            ("404 Not Found", [], page, "HTTP 404 for the file"), ("502 Bad Gateway", [], page, "HTTP 502"),
            ("206 Partial Content", ["Content-Range: nonsense"], page, "HTTP 206 without a usable Content-Range"),
        ])
    func aPartialFileSurvives(status: String, headers: [String], body: [UInt8], says: String) async throws {
        let host = try host { request in
            switch request.earlier {
            case 0: request.cut(request.honest(), after: 1_000_000)
            case 1, 2: request.respond(status, headers, body)
            default: nil
            }
        }
        _ = try await fetch.download(rig.job(host.url))
        #expect(partialSize == 1_000_000)
        let failure = line(try await fetch.download(rig.job(host.url)))
        #expect(failure.contains(says), "\(failure)")
        #expect(partialSize == 1_000_000)
        var (result, traffic) = try await received(rig.job(host.url))
        if !rig.verified(result) { (result, traffic) = try await received(rig.job(host.url)) }
        #expect(try rig.isComplete(result))
        #expect(traffic == DownloadTraffic(received: ByteCount(Rig.size) - 1_000_000, size: ByteCount(Rig.size)))
    }

    /// An expired presigned address: the file continues at the next one.
    @Test func aPartialFileContinuesAtAnotherAddress() async throws {
        let host = try host { request in
            guard request.target.hasPrefix("/files") else { return nil }
            return request.earlier == 0
                ? request.cut(request.honest(), after: 2_000_000) : request.respond("403 Forbidden", [], [])
        }
        _ = try await fetch.download(rig.job(host.url))
        #expect(line(try await fetch.download(rig.job(host.url))).contains("has the address expired?"))
        let (result, traffic) = try await received(rig.job(host.url, path: "/new/v2?X-Amz-Signature=abc"))
        #expect(try rig.isComplete(result))
        #expect(traffic.received == ByteCount(Rig.size) - 2_000_000)
    }

    /// A server without ranges sends the file from its start: what is there is compared and stays.
    @Test func withoutRangesAPartialFileIsComparedAndStays() async throws {
        let host = try host { request in
            let all = request.respond("200 OK", ["Content-Length: \(request.content.count)"], request.content)
            return request.earlier < 2 ? request.cut(all, after: 1_000_000 * (request.earlier == 0 ? 2 : 1)) : all
        }
        _ = try await fetch.download(rig.job(host.url))
        _ = try await fetch.download(rig.job(host.url))
        #expect(partialSize == 2_000_000, "a shorter piece takes nothing away")
        #expect(try rig.isComplete(try await fetch.download(rig.job(host.url))))
    }

    /// The published file was replaced, and its signature too: the bytes that differ are dropped in the middle of the response.
    @Test func aChangedFileReplacesAPartialOne() async throws {
        var old = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        old[1_500_000] ^= 1
        let host = try host { [old] request in
            request.earlier == 0
                ? request.cut(request.respond("200 OK", ["Content-Length: \(old.count)"], old), after: 2_000_000)
                : request.respond("200 OK", ["Content-Length: \(request.content.count)"], request.content)
        }
        _ = try await fetch.download(rig.job(host.url))
        #expect(partialSize == 2_000_000)
        let (result, traffic) = try await received(rig.job(host.url))
        #expect(try rig.isComplete(result))
        #expect(traffic.received == ByteCount(Rig.size))
    }

    /// A wrong piece in the middle is found by the signature, and the file starts over once.
    @Test func aWrongPieceStartsTheFileOverOnce() async throws {
        let host = try host { request in
            switch request.earlier {
            case 0: request.cut(request.honest(), after: 1_000_000)
            case 1:
                request.respond(
                    "206 Partial Content", ["Content-Range: bytes 1000000-\(Rig.size - 1)/\(Rig.size)"],
                    [UInt8](repeating: 7, count: Rig.size - 1_000_000))
            default: nil
            }
        }
        _ = try await fetch.download(rig.job(host.url))
        let (result, traffic) = try await received(rig.job(host.url))
        #expect(try rig.isComplete(result))
        #expect(traffic.received == 2 * ByteCount(Rig.size) - 1_000_000)
        #expect(host.requests.filter { $0.target == "/files/v2" }.map(\.range) == [nil, "bytes=1000000-", nil])
    }

    /// A file of another length was published: it replaces the part when it has come three times.
    @Test func aFileOfAnotherLengthReplacesAPartialOneAtTheThirdTry() async throws {
        let host = try host { request in
            request.earlier == 0
                ? request.cut(
                    request.respond("200 OK", ["Content-Length: 5000000"], [UInt8](repeating: 7, count: 5_000_000)),
                    after: 2_000_000)
                : request.respond("200 OK", ["Content-Length: \(request.content.count)"], request.content)
        }
        var results: [Bool] = []
        for _ in 0..<4 { results.append(rig.verified(try await fetch.download(rig.job(host.url)))) }
        #expect(results == [false, false, false, true])
    }

    /// The part came from a response that was larger than the file: the host's own answer to a range tells.
    @Test(arguments: [["Content-Length: 5000000"], []]) func aPartThatIsLargerThanTheFileIsReplaced(
        headers: [String]
    ) async throws {
        let wrong = [UInt8](repeating: 7, count: 4_000_000)
        let host = try host { request in request.earlier == 0 ? request.respond("200 OK", headers, wrong) : nil }
        _ = try await fetch.download(rig.job(host.url))
        #expect(partialSize == 4_000_000)
        #expect(try rig.isComplete(try await fetch.download(rig.job(host.url))))
    }

    /// A filter that sends the same text for hours does not destroy the part.
    @Test func aFiltersTextNeverReplacesAPartialFileWithinHours() async throws {
        let host = try host { request in
            switch request.earlier {
            case 0: request.cut(request.honest(), after: 2_000_000)
            case 1...8: request.respond("200 OK", ["Content-Length: 18"], Array("blocked by policy\n".utf8))
            default: nil
            }
        }
        for _ in 0..<9 { #expect(!rig.verified(try await fetch.download(rig.job(host.url)))) }
        #expect(partialSize == 2_000_000)
        let (result, traffic) = try await received(rig.job(host.url))
        #expect(try rig.isComplete(result))
        #expect(traffic.received == ByteCount(Rig.size) - 2_000_000)
    }

    /// The host refuses every range, but has the whole file.
    @Test(arguments: ["403 Forbidden", "404 Not Found", "501 Not Implemented", "204 No Content", ""])
    func aHostThatRefusesRangesIsAskedForTheWholeFile(status: String) async throws {
        let host = try host { request in
            if request.earlier == 0 { return request.cut(request.honest(), after: 1_000_000) }
            guard request.start != nil else { return request.honest() }
            return status.isEmpty ? [] : request.respond(status, ["Content-Length: 0"], [])
        }
        var tries = 0
        while tries < 8 {
            tries += 1
            if rig.verified(try await fetch.download(rig.job(host.url))) { break }
        }
        #expect(tries == 5, "a cut, three refusals, and a request for the whole file")
    }

    /// An endless response to a request for a range: nothing behind the known end is read.
    @Test func aResponseThatIsLongerThanTheFileIsStoppedAtItsEnd() async throws {
        let host = try host { request in
            if request.earlier == 0 { return request.cut(request.honest(), after: 1_000_000) }
            let rest = Array(request.content[1_000_000...]) + [UInt8](repeating: 7, count: 50_000_000)
            return request.respond(
                "206 Partial Content", ["Content-Range: bytes 1000000-\(Rig.size - 1)/\(Rig.size)"], rest)
        }
        _ = try await fetch.download(rig.job(host.url))
        let (result, traffic) = try await received(rig.job(host.url))
        #expect(try rig.isComplete(result))
        #expect(traffic.received < ByteCount(Rig.size))
    }

    /// At the first byte, without a length: the page is named, not the missing length.
    @Test func aWebPageWithoutALengthIsNamed() async throws {
        let host = try host { $0.earlier == 0 ? $0.respond("200 OK", ["Content-Type: text/html"], Self.page) : nil }
        #expect(
            line(try await fetch.download(rig.job(host.url)))
                == "got a web page instead of the file: captive portal or filter?")
        #expect(partialSize == 0)
        #expect(try rig.isComplete(try await fetch.download(rig.job(host.url))))
    }

    /// A long error page hides neither its status nor what it is.
    @Test(arguments: [
        ("404 Not Found", "HTTP 404 for the signature"), ("200 OK", "got a web page instead of the signature"),
    ])
    func aLongErrorPageForTheSignatureIsNamed(status: String, says: String) async throws {
        let content = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        let page = Self.page + [UInt8](repeating: 0x20, count: 100_000)
        let host = try FileHost({ ["/files/v2": content] }) {
            $0.respond(status, ["Content-Type: text/html", "Content-Length: \(page.count)"], page)
        }
        #expect(line(try await fetch.download(rig.job(host.url))).contains(says))
    }

    /// Without verification only the validator tells whether a range belongs to the file.
    @Test func aFileThatIsNotVerifiedIsResumedOnlyWithTheSameValidator() async throws {
        try await SimulatedServer.run(rig.configuration([Fault(path: "/files/v2", times: 1, dropAfter: 500_000)])) {
            server async throws in
            try await TLSFront.run(of: server.port) { front async throws in
                let job = try rig.job(front.url) {
                    $0.connection.caBundle = front.caBundle
                    $0.verification.mode = .none
                }
                _ = try await fetch.download(job)
                await server.change { $0.faults = [Fault(path: "/files/v2", headers: ["ETag": "\"other\""])] }
                guard case .verified? = try await fetch.download(job) else {
                    Issue.record("not complete")
                    return
                }
                let ranges = await server.records.filter { $0.path == "/files/v2" }.map { $0.headers["range"] != nil }
                #expect(ranges == [false, true, false])
                let ifRange = await server.records.filter { $0.path == "/files/v2" }.map {
                    $0.headers["if-range"] != nil
                }
                #expect(ifRange == [false, true, false])
            }
        }
    }

    // MARK: disk space

    /// A file system of 8 MiB, and a file without a length that does not fit.
    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func keepFreeHoldsWithoutALength() async throws {
        try await rig.scratch.withSmallFileSystem("small", size: "8m") { directory async throws in
            let host = try host { request in
                request.respond("200 OK", [], [UInt8](repeating: 1, count: 20_000_000))
            }
            var job = try rig.job(host.url)
            job.directory = directory
            job.keepFree = 2 << 20
            let (result, first) = try await received(job)
            guard case .noSpace(let text)? = result else {
                Issue.record("\(String(describing: result))")
                return
            }
            #expect(text.contains("2 MiB must stay so (download.keepFree)"), "\(text)")
            #expect(try Files.freeSpace(at: directory) >= 2 << 20)
            #expect(first.received > 3_000_000)
            // The next tries do not download the same bytes to find the same end.
            let (again, second) = try await received(job)
            guard case .noSpace(let next)? = again else {
                Issue.record("\(String(describing: again))")
                return
            }
            #expect(next.contains("free some space"), "\(next)")
            #expect(second.received == 0)
            #expect(host.requests.count { $0.target == "/files/v2" } == 1)
        }
    }

    // MARK: proxies

    @Test(arguments: [
        (407, "the proxy requires authentication"), (403, "the proxy responded with HTTP 403 to CONNECT"),
    ])
    func aProxyThatRefusesToConnectIsNamed(status: Int, says: String) async throws {
        let proxy = try host { $0.respond("\(status) No", ["Content-Length: 0"], []) }
        var job = try rig.job("https://files.example")
        job.connection.proxy = try ProxyURL(proxy.url)
        #expect(line(try await fetch.download(job)).contains(says))
        let connection = job.connection
        let check = rig.checkJob("https://api.example") { $0.server.proxy = connection.proxy }
        guard case .transientError(let error)? = try await fetch.check(check)?.response else {
            Issue.record("no transient error")
            return
        }
        #expect(error.line.contains(says))
    }

    @Test func aProxyForPlainHTTPThatRequiresAuthenticationIsNamed() async throws {
        let content = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        let proxy = try FileHost({ ["/files/v2.minisig": content] }) {
            $0.respond("407 Proxy Authentication Required", ["Content-Length: 0"], [])
        }
        var job = try rig.job("http://files.example")
        job.connection.proxy = try ProxyURL(proxy.url)
        #expect(
            line(try await fetch.download(job))
                == "HTTP 407 for the signature: the proxy requires authentication: put the user and the password into "
                + "server.proxy")
    }

    // MARK: the address of the signature

    @Test func theSignatureOfAPresignedAddressIsNextToTheFile() async throws {
        let host = try host { _ in nil }
        let result = try await fetch.download(rig.job(host.url, path: "/files/v2?token=a/b&x=1#part"))
        #expect(try rig.isComplete(result))
        #expect(host.requests.map(\.target) == ["/files/v2.minisig?token=a/b&x=1", "/files/v2?token=a/b&x=1"])
    }
}

extension Rig {
    func verified(_ result: DownloadResult?) -> Bool {
        if case .verified? = result { true } else { false }
    }
}
