import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The real worker with a real HTTP server.
@Suite struct DownloadTests {
    let rig: Rig
    let fetch = FetchProgram()

    init() async throws { rig = try await Rig() }

    func with<Value: Sendable>(
        _ faults: [Fault] = [], _ body: @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        try await SimulatedServer.run(rig.configuration(faults), body: body)
    }

    func ranges(_ server: RunningServer) async -> [String?] {
        await server.records.filter { $0.path == "/files/v2" }.map { $0.headers["range"] }
    }

    @Test func aFileIsDownloadedCompletely() async throws {
        try await with { server async throws in
            let (reports, end) = try await fetch.run(.download(rig.job(server.url)))
            #expect(end == .exited(0))
            guard case .downloaded(let result, _)? = reports.last else {
                Issue.record("no result")
                return
            }
            #expect(try rig.isComplete(result))
            #expect(
                reports.contains {
                    if case .progress(let progress) = $0 { progress.received == ByteCount(Rig.size) } else { false }
                })
            // The signature comes first: a file without one is not downloaded.
            #expect(await server.records.map(\.path) == ["/files/v2.minisig", "/files/v2"])
        }
    }

    @Test func aDroppedDownloadIsResumedAndVerified() async throws {
        try await with([Fault(path: "/files/v2", times: 4, dropAfter: 500_000)]) { server async throws in
            // The signature is shorter than `dropAfter`: it arrives completely, and still uses up one of the four faults.
            var results: [DownloadResult?] = []
            for _ in 0..<3 { results.append(try await fetch.download(rig.job(server.url))) }
            guard case .transientError(.network)? = results[0], case .transientError(.network)? = results[1] else {
                Issue.record("\(results)")
                return
            }
            #expect(try rig.isComplete(results[2]))
            let requested = await ranges(server)
            #expect(requested.first == .some(nil))
            #expect(requested.dropFirst().allSatisfy { $0?.hasPrefix("bytes=") == true })
            #expect(requested.count == 3)
        }
    }

    @Test func theDownloadOfAKilledWorkerIsResumed() async throws {
        try await with([Fault(path: "/files/v2", times: 2, bytesPerSecond: 1_000_000)]) { server async throws in
            let end = try await fetch.kill(.download(rig.job(server.url))) { report in
                if case .progress(let progress) = report { progress.received > 100_000 } else { false }
            }
            #expect(end == .signalled(SIGKILL))
            #expect(try Files.list(rig.staging) == ["2.part", "2.part.json"])
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
            let requested = await ranges(server)
            #expect(requested.count == 2 && requested[1]?.hasPrefix("bytes=") == true)
        }
    }

    /// Nodes of a CDN have different ETags for the same file.
    @Test(arguments: [["ETag": "\"other\""], ["ETag": "W/\"weak\""], ["ETag": ""]])
    func aSignedFileIsResumedWhateverItsValidator(headers: [String: String]) async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            await server.change { $0.faults = [Fault(path: "/files/v2", times: 3, headers: headers)] }
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
            #expect(await ranges(server).map { $0 == nil } == [true, false])
        }
    }

    /// After a power cut only the synced bytes count, not the file's length.
    @Test func bytesThatWereNotSyncedBeforeThisBootAreDownloadedAgain() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            let note = "\(rig.staging)/2.part.json"
            let text = String(decoding: try Files.read(note, limit: 4096), as: UTF8.self)
            let synced = try #require(text.firstMatch(of: /"synced":(\d+)/)?.1)
            let changed = text.replacing(/"bootID":"[^"]*"/, with: "\"bootID\":\"another\"")
                .replacing("\"synced\":\(synced)", with: "\"synced\":100000")
            try Files.replace(note, with: Array(changed.utf8))
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
            #expect(await ranges(server).last == .some("bytes=100000-"))
        }
    }

    @Test func damagedBytesOfAnEarlierRunAreDownloadedAgain() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            let part = "\(rig.staging)/2.part"
            var bytes = try Files.read(part, limit: 1 << 30)
            bytes[1000] ^= 1
            try Files.replace(part, with: bytes)
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
        }
    }

    @Test(
        arguments: [
            Fault(path: "/files/v2", changingETag: true), Fault(path: "/files/v2", noRanges: true),
            Fault(path: "/files/v2", headers: ["Content-Range": "bytes 5-9/10"]),
            Fault(path: "/files/v2", headers: ["Content-Range": "nonsense"]),
        ])
    func aDownloadThatCannotBeResumedStartsOver(fault: Fault) async throws {
        // Every request of a range receives the wrong Content-Range; the third request is for the whole file.
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000), fault]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
        }
    }

    @Test func aFileThatHasChangedStartsOver() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            let path = "\(rig.scratch.path)/files/v2"
            try Files.replace(path, with: Array(try Files.read(path, limit: 1 << 30).reversed()))
            try await rig.sign()
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
        }
    }

    @Test func aWrongLengthIsATransientError() async throws {
        try await with([Fault(path: "/files/v2", contentLength: Rig.size + 1000)]) { server async throws in
            guard case .transientError(.network)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("a file that is too short was accepted")
                return
            }
        }
    }

    @Test(arguments: [404, 410]) func aMissingFileIsReportedAsMissing(status: Int) async throws {
        try await with([Fault(path: "/files/v2", status: status)]) { server async throws in
            guard case .gone(let line)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not gone")
                return
            }
            #expect(line.hasPrefix("HTTP \(status) for the signature: it is not there; publish"))
        }
    }

    @Test(
        arguments: [
            (400, "which is no file"), (401, "requires a login"), (402, "no file"), (403, "has the address expired?"),
            (407, "put the user and the password into server.proxy"), (409, "no file"), (412, "no file"),
            (416, "no file"), (421, "no file"), (423, "no file"), (451, "no file"), (499, "no file"), (204, "no file"),
            (304, "no file"), (511, "captive portal"),
        ])
    func anyOtherStatusIsATransientError(status: Int, words: String) async throws {
        let path = "/files/v2"
        for file in [path, path + ".minisig"] {
            let name = file == path ? "file" : "signature"
            try await with([Fault(path: file == path ? path : file, status: status)]) { server async throws in
                if file == path {
                    // A fault holds for every path that begins with its own.
                    await server.change { $0.faults = [] }
                    var job = try rig.job(server.url)
                    job.verification.sidecarURL = "\(server.url)/files/v2.minisig"
                    job.offer = try Rig.offer("\(server.url)/bad")
                    await server.change { $0.faults = [Fault(path: "/bad", status: status)] }
                    let line = try await transientLine(job)
                    #expect(line.contains("HTTP \(status)") && line.contains(name) && line.contains(words), "\(line)")
                } else {
                    let line = try await transientLine(rig.job(server.url))
                    #expect(line.contains("HTTP \(status)") && line.contains(name) && line.contains(words), "\(line)")
                }
            }
        }
    }

    func transientLine(_ job: DownloadJob) async throws -> String {
        guard case .transientError(let error)? = try await fetch.download(job) else {
            Issue.record("no transient error")
            return ""
        }
        return error.line
    }

    @Test(arguments: [500, 502, 503, 504, 408, 425, 429])
    func serverErrorsAndThrottlingAreTransientErrors(status: Int) async throws {
        try await with([Fault(path: "/files/v2", status: status, headers: ["Retry-After": "77"])]) {
            server async throws in
            guard case .transientError(let transientError)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not a transient error")
                return
            }
            #expect(transientError.retryAfter == 77)
        }
    }

    @Test func aForgedFileIsRefusedAndRemoved() async throws {
        try await with([Fault(path: "/files/v2", corrupt: true)]) { server async throws in
            // The signature is corrupt too, so no byte of the file is downloaded.
            guard case .refused? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not refused")
                return
            }
            #expect(await ranges(server).isEmpty)
        }
        let path = "\(rig.scratch.path)/files/v2"
        var bytes = try Files.read(path, limit: 1 << 30)
        bytes[7] ^= 1
        try Files.replace(path, with: bytes)
        try await with { server async throws in
            #expect(
                try await fetch.download(rig.job(server.url))
                    == .refused("its content is not what was signed", code: .signatureInvalid))
            #expect(try Files.list(rig.staging) == [])
        }
    }

    @Test func theSignatureOfAnOldVersionIsRefusedBeforeTheDownload() async throws {
        try await rig.sign("urlKey=device versionCode=1")
        try await with { server async throws in
            guard case .refused(let line, _)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not refused")
                return
            }
            #expect(line == "it was signed for versionCode 1, and 2 is wanted")
            #expect(await ranges(server).isEmpty)
        }
    }

    @Test func aCompleteFileIsNotDownloadedAgain() async throws {
        try await with { server async throws in
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
            #expect(await ranges(server).count == 1)
            // A file that has been damaged is downloaded again.
            var bytes = try Files.read("\(rig.staging)/2.artifact", limit: 1 << 30)
            bytes[0] ^= 1
            try Files.replace("\(rig.staging)/2.artifact", with: bytes)
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url))))
        }
    }

    /// The installer reads the file next: its start stays in the page cache, and the rest does not displace other data.
    @Test(
        .enabled(if: (try? Directory("/tmp"))?.handle.hasReliableLeases == true, "/tmp is on no disk"),
        arguments: [0, 1 << 20, ByteCount.max])
    func theStartOfTheFileStaysInThePageCache(kept: ByteCount) async throws {
        try await with { server async throws in
            let result = try await fetch.download(
                rig.job(server.url) {
                    $0.priority = DownloadPriority(ioClass: .bestEffort, nice: 0, flushEvery: 1 << 18, keepCache: kept)
                })
            guard case .verified(let artifact)? = result else {
                Issue.record("\(String(describing: result))")
                return
            }
            let output = try await execute("fincore", ["-b", "-n", "-o", "RES", artifact.path])
            let cached = try #require(ByteCount(output.filter(\.isNumber)))
            // The kernel drops whole folios only, and keeps those that it cannot drop at once.
            let wanted = min(kept, ByteCount(Rig.size))
            #expect(cached >= wanted && cached <= wanted + (1 << 20), "\(cached)")
        }
    }

    /// An interrupted installer may have left the file so that the agent cannot open it: it is downloaded again.
    @Test(.enabled(if: getuid() == 0, "taking rights away needs root"))
    func aFileThatCannotBeOpenedIsDownloadedAgain() async throws {
        try await with { server async throws in
            let job = try rig.job(server.url)
            #expect(try rig.isComplete(try await fetch.download(job)))
            chmod("\(rig.staging)/2.artifact", 0)
            // As the agent's user, this root has no right to open what its mode forbids.
            let worker = Program(
                "setpriv",
                ["--bounding-set", "-dac_override,-dac_read_search", "\(programsDirectory)/upgradelink-fetch"],
                streams: .pipes(), timeLimit: 60)
            let lines = await worker.run(try JSONLine.encode(FetchJob.download(job))).lines
            let report = try lines.last.map { try JSONLine.decode(FetchReport.self, from: Array($0.utf8)) }
            guard case .downloaded(let result, _)? = report else {
                Issue.record("\(lines)")
                return
            }
            #expect(try rig.isComplete(result))
            #expect(await ranges(server).count == 2)
        }
    }

    /// What cannot be installed is not downloaded.
    @Test func anInstallationThatDoesNotFitIsNotDownloaded() async throws {
        try await with { server async throws in
            for need in [
                SpaceNeed(directory: "/tmp", percent: 0, bytes: 1 << 50), SpaceNeed(directory: "/proc", percent: 100),
            ] {
                guard case .noSpace(let reason)? = try await fetch.download(rig.job(server.url) { $0.space = [need] })
                else {
                    Issue.record("not refused")
                    return
                }
                #expect(reason.hasPrefix("the installation would need "), "\(reason)")
                #expect(
                    reason.contains(" in \(need.directory), ") && reason.contains("must stay so (download.keepFree)"))
                #expect(try Files.read("\(rig.staging)/2.part", limit: 10).isEmpty)
            }
            let fits = [
                SpaceNeed(directory: "/tmp", percent: 100), SpaceNeed(directory: "/nonexistent", percent: 10_000),
            ]
            #expect(try rig.isComplete(try await fetch.download(rig.job(server.url) { $0.space = fits })))
        }
    }
}
