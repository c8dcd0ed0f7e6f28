import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// Each limit of the worker at its value, and one past it.
@Suite struct LimitTests {
    private let rig: Rig
    private let fetch = FetchProgram()

    init() async throws { rig = try await Rig() }

    private func line(_ result: DownloadResult?) -> String {
        switch result {
        case .verified?: "verified"
        case .transientError(let error)?: error.line
        case .noSpace(let text)?, .refused(let text, _)?, .gone(let text)?: text
        case nil: "none"
        }
    }

    // MARK: a download

    @Test func aFileOfExactlyTheSizeLimitIsDownloaded() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            let result = try await fetch.download(rig.job(server.url) { $0.sizeLimit = ByteCount(Rig.size) })
            #expect(try rig.isComplete(result), "\(line(result))")
            // The file that is there is not taken if the limit has been lowered.
            let refused = try await fetch.download(rig.job(server.url) { $0.sizeLimit = ByteCount(Rig.size) - 1 })
            #expect(line(refused).contains("download.sizeLimit"))
            #expect(!rig.scratch.exists("staging/2.artifact"))
        }
    }

    /// A file whose length the server does not tell is counted while it is received.
    @Test(arguments: [0, 1]) func theReceivedBytesAreLimited(excess: Int) async throws {
        let host = try host { $0.respond("200 OK", [], $0.content) }
        let result = try await fetch.download(
            rig.job(host.url) { $0.sizeLimit = ByteCount(Rig.size - excess) })
        #expect(
            excess == 0 ? line(result) == "verified" : line(result).contains("download.sizeLimit"), "\(line(result))")
    }

    /// Empty lines belong to no signature, and make its file longer.
    @Test(arguments: [0, 1]) func aSignatureFileMayHaveSixteenKibibytes(excess: Int) async throws {
        let file = "\(rig.scratch.path)/files/v2.minisig"
        let signature = try Files.read(file, limit: 4096)
        try Files.replace(file, with: signature + [UInt8](repeating: 0x0A, count: 16_384 + excess - signature.count))
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            let result = line(try await fetch.download(rig.job(server.url)))
            #expect(
                excess == 0 ? result == "verified" : result.contains("the signature is longer than"), "\(result)")
        }
    }

    /// A worker that ended after the last byte and before the verification left nothing to request.
    @Test func aCompletePartIsNotRequestedAgain() async throws {
        let host = try host { $0.honest() }
        let job = try rig.job(host.url)
        try Files.createDirectory(rig.staging)
        try await execute("cp", ["files/v2", "staging/2.part"], in: rig.scratch.path)
        try rig.scratch.write(
            "staging/2.part.json",
            "{\"format\":2,\"bootID\":\"\(try Clock.bootID())\",\"synced\":0,"
                + "\"origin\":{\"url\":\"\(job.offer.urlPath)\",\"total\":\(Rig.size)}}")
        #expect(try rig.isComplete(try await fetch.download(job)))
        #expect(host.requests.map(\.target) == ["/files/v2.minisig"])
    }

    /// A server that sends the same piece for ever, whatever is requested.
    @Test func aServerThatSendsNoMoreIsNotAskedForEver() async throws {
        let host = try host { request in
            request.respond(
                "206 Partial Content", ["Content-Range: bytes 0-999999/\(Rig.size)", "Content-Length: 1000000"],
                Array(request.content[..<1_000_000]))
        }
        let result = try await fetch.download(rig.job(host.url), timeLimit: 20)
        #expect(line(result).contains("the server sends no more than 1.0 MB"), "\(line(result))")
        #expect(host.requests.filter { $0.target == "/files/v2" }.map(\.range) == [nil, "bytes=1000000-", nil])
    }

    /// Pieces that are wrong are not fetched again and again.
    @Test func aWrongFileInPiecesIsRefusedAfterASecondTry() async throws {
        let host = try host { request in
            let start = request.start ?? 0
            let end = start == 0 ? 1_500_000 : Rig.size
            return request.respond(
                "206 Partial Content", ["Content-Range: bytes \(start)-\(end - 1)/\(Rig.size)"],
                [UInt8](repeating: 7, count: end - start))
        }
        let result = try await fetch.download(rig.job(host.url), timeLimit: 20)
        #expect(line(result).hasPrefix("its content is not what was signed"), "\(line(result))")
        let ranges = host.requests.filter { $0.target == "/files/v2" }.map(\.range)
        #expect(ranges == [nil, "bytes=1500000-", nil, "bytes=1500000-"])
    }

    /// The clock of the device may be wrong: a date is compared with the server's own.
    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:50:37 GMT", "503 Down", 60), ("7", "503 Down", 7), ("7", "429 Slow down", 7),
            ("7", "403 No", 7), ("soon", "503 Down", nil),
        ] as [(String, String, Seconds?)])
    func aFilesHostSaysHowLongToWait(value: String, status: String, seconds: Seconds?) async throws {
        let host = try host {
            $0.respond(
                status, ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: \(value)", "Content-Length: 0"], [])
        }
        guard case .transientError(let error)? = try await fetch.download(rig.job(host.url)) else {
            Issue.record("no transient error")
            return
        }
        #expect(error.retryAfter == seconds)
    }

    private func host(_ respond: @escaping @Sendable (FileHost.Request) -> [UInt8]) throws -> FileHost {
        let content = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        let signature = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        return try FileHost({ ["/files/v2": content, "/files/v2.minisig": signature] }) {
            $0.target.hasSuffix(".minisig") ? nil : respond($0)
        }
    }

    // MARK: an update check

    /// A last header that was cut could be any number.
    @Test func aHeadThatWasCutIsNoAnswer() async throws {
        let raw = try RawServer { _ in [(Array("HTTP/1.1 429 Slow down\r\nRetry-After: 12".utf8), 0)] }
        guard case .transientError(.network)? = try await fetch.check(rig.checkJob(raw.url))?.response else {
            Issue.record("it was taken for an answer")
            return
        }
    }

    @Test(arguments: [0, 1]) func aReplyMayHaveOneMebibyte(excess: Int) async throws {
        let reply = #"{"code":0}"#
        let body = reply + String(repeating: " ", count: (1 << 20) + excess - reply.utf8.count)
        let raw = try RawServer { _ in
            [
                (
                    Array(
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8
                    ), 0
                )
            ]
        }
        let response = try await fetch.check(rig.checkJob(raw.url))?.response
        #expect(
            response == (excess == 0 ? .latest : .transientError(.unreadable("the reply is longer than 1.0 MB"))))
    }

    /// The signature of a request is for one path: what is sent is what was signed.
    @Test func theWorkersOwnRequestHasItsHeaders() async throws {
        let raw = try RawServer { _ in [(Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"code\":0}".utf8), 0)] }
        _ = try await fetch.check(rig.checkJob(raw.url))
        let request = try #require(raw.requests.first)
        for header in ["Content-Type: application/json", "Accept-Encoding: identity", "X-AccessKey: ak", "X-Nonce: "] {
            #expect(request.contains("\r\n\(header)"), "\(request)")
        }
        #expect(!request.lowercased().contains("expect:"))
    }

    // MARK: a job

    /// Blanks belong to no value of JSON, and make a line longer.
    @Test(arguments: [0, 1]) func aJobMayHaveALineOf256Kibibytes(excess: Int) async throws {
        let job = try JSONLine.encode(FetchJob.digest("abc")).dropLast()
        let line = job + [UInt8](repeating: 0x20, count: 262_144 + excess - job.count) + [0x0A]
        let program = Program("\(programsDirectory)/upgradelink-fetch", streams: .pipes(), timeLimit: 60)
        let run = await program.run(Array(line))
        #expect(run.end == .exited(excess == 0 ? 0 : 64) && run.lines.isEmpty == (excess == 1))
    }

    @Test func aJobThatDoesNotEndIsNone() async throws {
        let program = Program(
            "/bin/sh", ["-c", "printf '{\"digest\":' | \"$0\"", "\(programsDirectory)/upgradelink-fetch"],
            streams: .captured, timeLimit: 60)
        let run = await program.run()
        #expect(run.end == .exited(64) && run.lines.isEmpty && run.errors.first?.contains("no job") == true)
    }

    /// The limit of a running download is replaced: the rest would take two minutes.
    @Test func theSpeedLimitOfARunningDownloadIsReplaced() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            let job = try rig.job(server.url) { $0.speedLimit = 25_000 }
            let control = try JSONLine.encode(DownloadControl.limitSpeed(0))
            let program = Program("\(programsDirectory)/upgradelink-fetch", streams: .pipes(), timeLimit: 60)
            let start = Clock.bootTime
            let run = await program.run(try JSONLine.encode(FetchJob.download(job))) { _, child in child?.send(control)
            }
            let last = try JSONLine.decode(FetchReport.self, from: Array((run.lines.last ?? "").utf8))
            guard case .downloaded(let result, let traffic) = last else {
                Issue.record("\(last)")
                return
            }
            #expect(try rig.isComplete(result))
            #expect(traffic == DownloadTraffic(received: ByteCount(Rig.size), size: ByteCount(Rig.size)))
            #expect(Clock.bootTime - start < 40)
        }
    }

    /// A download leaves the processor and the disk to others.
    @Test func aDownloadHasItsPriority() async throws {
        let nice = try await SimulatedServer.run(rig.configuration()) { server async throws in
            let job = try rig.job(server.url) {
                $0.speedLimit = 1_000_000
                $0.priority = DownloadPriority(ioClass: .bestEffort, nice: 7, flushEvery: 0, keepCache: 0)
            }
            return try await niceValue(of: job)
        }
        #expect(nice == 7)
    }

    /// The nice value of a worker at its first report, which ends it.
    @MainActor private func niceValue(of job: DownloadJob) async throws -> CInt? {
        let mark = ProcessMark(name: "UPGRADELINK_TEST_MARK", value: "\(UInt64.random(in: 0 ... .max))")
        let entry = Array("\(mark.name)=\(mark.value)".utf8)
        var program = Program("\(programsDirectory)/upgradelink-fetch", streams: .pipes(), timeLimit: 60)
        program.mark = mark
        var found: CInt?
        _ = await program.run(try JSONLine.encode(FetchJob.download(job))) { _, child in
            let pid = ((try? Files.list("/proc")) ?? []).compactMap { pid_t($0) }.first { pid in
                let variables = (try? Files.read("/proc/\(pid)/environ", limit: 1 << 20)) ?? []
                return variables.split(separator: 0).contains { $0.elementsEqual(entry) }
            }
            if let pid { found = found ?? getpriority(CInt(PRIO_PROCESS.rawValue), id_t(pid)) }
            child?.terminate()
        }
        return found
    }
}
