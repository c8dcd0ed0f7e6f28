import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The real worker against a real server.
@Suite struct DownloadTests {
    private let rig: Rig
    private let fetch = FetchProgram()

    init() async throws { rig = try await Rig() }

    private func with<Value: Sendable>(
        _ faults: [Fault] = [], _ body: @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        try await SimulatedServer.run(rig.configuration(faults), body: body)
    }

    private func ranges(_ server: RunningServer) async -> [String?] {
        await server.records.filter { $0.path == "/files/v2" }.map { $0.headers["range"] }
    }

    @Test func aFileArrivesWhole() async throws {
        try await with { server async throws in
            let (reports, end) = try await fetch.run(.download(rig.job(server.url)))
            #expect(end == .exited(0))
            guard case .downloaded(let result)? = reports.last else {
                Issue.record("no result")
                return
            }
            #expect(try rig.arrivedWhole(result))
            #expect(
                reports.contains {
                    if case .progress(let progress) = $0 { progress.received == Rig.size } else { false }
                })
            // The signature comes first: nobody downloads what is not signed.
            #expect(await server.records.map(\.path) == ["/files/v2.minisig", "/files/v2"])
        }
    }

    @Test func aDroppedConnectionIsResumedAndHashedWhole() async throws {
        try await with([Fault(path: "/files/v2", times: 4, dropAfter: 500_000)]) { server async throws in
            // The signature is shorter than the fault: it passes, and uses one up each time.
            var results: [DownloadResult?] = []
            for _ in 0..<3 { results.append(try await fetch.download(rig.job(server.url))) }
            guard case .trouble(.network)? = results[0], case .trouble(.network)? = results[1] else {
                Issue.record("\(results)")
                return
            }
            #expect(try rig.arrivedWhole(results[2]))
            let asked = await ranges(server)
            #expect(asked.first == .some(nil))
            #expect(asked.dropFirst().allSatisfy { $0?.hasPrefix("bytes=") == true })
            #expect(asked.count == 3)
        }
    }

    @Test func aKilledWorkerIsResumed() async throws {
        try await with([Fault(path: "/files/v2", times: 2, bytesPerSecond: 1_000_000)]) { server async throws in
            let end = try await fetch.kill(.download(rig.job(server.url))) { report in
                if case .progress(let progress) = report { progress.received > 100_000 } else { false }
            }
            #expect(end == .signalled(SIGKILL))
            #expect(try Files.list(rig.staging) == ["2.part", "2.part.json"])
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
            let asked = await ranges(server)
            #expect(asked.count == 2 && asked[1]?.hasPrefix("bytes=") == true)
        }
    }

    /// A server that continues another file than the one that was begun, in spite of If-Range.
    @Test func aRangeOfAnotherFileStartsItOver() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            await server.change { $0.faults = [Fault(path: "/files/v2", times: 3, headers: ["ETag": "\"other\""])] }
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
            #expect(await ranges(server).map { $0 == nil } == [true, false, true])
        }
    }

    /// After a power cut only what was synced counts, whatever length the file has.
    @Test func whatWasNotSyncedBeforeThisBootIsFetchedAgain() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            let note = "\(rig.staging)/2.part.json"
            let text = String(decoding: try Files.read(note, limit: 4096), as: UTF8.self)
            let synced = try #require(text.firstMatch(of: /"synced":(\d+)/)?.1)
            let changed = text.replacing(/"bootID":"[^"]*"/, with: "\"bootID\":\"another\"")
                .replacing("\"synced\":\(synced)", with: "\"synced\":100000")
            try Files.replace(note, with: Array(changed.utf8))
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
            #expect(await ranges(server).last == .some("bytes=100000-"))
        }
    }

    @Test func rottenPiecesOfAnEarlierRunAreFetchedAgainOnce() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            let part = "\(rig.staging)/2.part"
            var bytes = try Files.read(part, limit: 1 << 30)
            bytes[1000] ^= 1
            try Files.replace(part, with: bytes)
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
        }
    }

    @Test(
        arguments: [
            Fault(path: "/files/v2", changingETag: true), Fault(path: "/files/v2", noRanges: true),
            Fault(path: "/files/v2", headers: ["Content-Range": "bytes 5-9/10"]),
            Fault(path: "/files/v2", headers: ["Content-Range": "nonsense"]),
        ])
    func whatCannotBeResumedStartsOver(fault: Fault) async throws {
        // A wrong Content-Range is wrong each time a range is asked for; the third request asks for none.
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000), fault]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
        }
    }

    @Test func aFileThatChangedMeanwhileStartsOver() async throws {
        try await with([Fault(path: "/files/v2", times: 2, dropAfter: 500_000)]) { server async throws in
            _ = try await fetch.download(rig.job(server.url))
            let path = "\(rig.scratch.path)/files/v2"
            try Files.replace(path, with: Array(try Files.read(path, limit: 1 << 30).reversed()))
            try await rig.sign()
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
        }
    }

    @Test func aWrongLengthIsTrouble() async throws {
        try await with([Fault(path: "/files/v2", contentLength: Rig.size + 1000)]) { server async throws in
            guard case .trouble(.network)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("a file that is too short was taken")
                return
            }
        }
    }

    @Test(arguments: [404, 410, 403, 400])
    func aFileThatIsGoneIsGone(status: Int) async throws {
        try await with([Fault(path: "/files/v2", status: status)]) { server async throws in
            guard case .gone(let line)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not gone")
                return
            }
            #expect(line.contains("HTTP \(status)"))
        }
    }

    @Test(arguments: [500, 502, 503, 504, 408, 425, 429])
    func aServerInTroubleIsTrouble(status: Int) async throws {
        try await with([Fault(path: "/files/v2", status: status, headers: ["Retry-After": "77"])]) {
            server async throws in
            guard case .trouble(let trouble)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not trouble")
                return
            }
            #expect(trouble.retryAfter == 77)
        }
    }

    @Test func aForgedFileIsRefusedAndNothingOfItStays() async throws {
        try await with([Fault(path: "/files/v2", corrupt: true)]) { server async throws in
            // The signature is spoilt too, so it is refused before a byte of the file is fetched.
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
            #expect(try await fetch.download(rig.job(server.url)) == .refused("its content is not what was signed"))
            #expect(try Files.list(rig.staging) == [])
        }
    }

    @Test func anOldVersionsSignatureCostsNoDownload() async throws {
        try await rig.sign("urlKey=box versionCode=1")
        try await with { server async throws in
            guard case .refused(let line)? = try await fetch.download(rig.job(server.url)) else {
                Issue.record("not refused")
                return
            }
            #expect(line == "it was signed for versionCode 1, and 2 is wanted")
            #expect(await ranges(server).isEmpty)
        }
    }

    @Test func aWorkerStoppedAtTheVeryEndFindsItsFile() async throws {
        try await with { server async throws in
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
            #expect(await ranges(server).count == 1)
            // … unless it is not genuine any more.
            var bytes = try Files.read("\(rig.staging)/2.artifact", limit: 1 << 30)
            bytes[0] ^= 1
            try Files.replace("\(rig.staging)/2.artifact", with: bytes)
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url))))
        }
    }

    // MARK: limits

    @Test func aFileAboveTheLimitIsRefusedBeforeItsFirstByte() async throws {
        try await with { server async throws in
            guard
                case .refused(let line)? = try await fetch.download(rig.job(server.url) { $0.sizeLimit = Rig.size - 1 })
            else {
                Issue.record("not refused")
                return
            }
            #expect(line.contains("download.sizeLimit"))
            #expect(try Files.read("\(rig.staging)/2.part", limit: 10).isEmpty)
        }
    }

    @Test func aDiskWithoutTheSpaceIsSaidToBeSo() async throws {
        try await with { server async throws in
            guard case .noSpace(let line)? = try await fetch.download(rig.job(server.url) { $0.keepFree = Int.max / 2 })
            else {
                Issue.record("no word of the space")
                return
            }
            #expect(line.contains("3.0 MB more are needed in \(rig.staging)") && line.contains("download.keepFree"))
        }
    }

    @Test func aSpeedLimitIsKept() async throws {
        try await with { server async throws in
            let before = Clock.bootTime
            #expect(try rig.arrivedWhole(try await fetch.download(rig.job(server.url) { $0.speedLimit = 1_500_000 })))
            #expect(Clock.bootTime - before > 1)
        }
    }

    @Test func aServerThatDripsIsGivenUp() async throws {
        try await with([Fault(path: "/files/v2", bytesPerSecond: 50)]) { server async throws in
            let job = try rig.job(server.url) {
                $0.lowSpeed = 10_000
                $0.lowSpeedTime = 1
            }
            // The signature drips as well: its own time limit ends it.
            var quick = job
            quick.connection.requestTimeout = 2
            guard case .trouble(.network)? = try await fetch.download(quick) else {
                Issue.record("not given up")
                return
            }
        }
    }

    @Test func aFileThatDripsIsGivenUp() async throws {
        let sidecar = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        let raw = try RawServer { connection in
            connection == 1
                ? [
                    (
                        Array("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(sidecar.count)\r\n\r\n".utf8)
                            + sidecar, 0
                    )
                ]
                : [(Array("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".utf8), 0)]
                    + (0..<400).map { _ in ([1, 2, 3], 0.1) }
        }
        let result = try await fetch.download(
            rig.job(raw.url) {
                $0.lowSpeed = 10_000
                $0.lowSpeedTime = 2
            })
        guard case .trouble(.network(let line))? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(line.contains("too slow"))
    }

    @Test func anEndlessFileWithoutALengthEndsAtTheLimit() async throws {
        let sidecar = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        let raw = try RawServer { connection in
            connection == 1
                ? [
                    (
                        Array("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(sidecar.count)\r\n\r\n".utf8)
                            + sidecar, 0
                    )
                ]
                : [(Array("HTTP/1.1 200 OK\r\n\r\n".utf8), 0)]
                    + (0..<64).map { _ in ([UInt8](repeating: 7, count: 100_000), 0) }
        }
        guard case .refused(let line)? = try await fetch.download(rig.job(raw.url) { $0.sizeLimit = 2_000_000 }) else {
            Issue.record("not refused")
            return
        }
        #expect(line.contains("download.sizeLimit is 2.0 MB"))
    }

    /// A file of 400 MB through a worker that may have 64 MiB of memory of its own (RLIMIT_DATA, setrlimit(2)).
    @Test func memoryDoesNotGrowWithTheFile() async throws {
        try await execute("truncate", ["-s", "400000000", "\(rig.scratch.path)/files/v2"])
        try await rig.sign()
        try await with { server async throws in
            let (reports, end) = try await fetch.run(.download(rig.job(server.url)), memory: 65_536)
            guard end == .exited(0), case .downloaded(.verified)? = reports.last else {
                Issue.record("\(end)")
                return
            }
        }
    }

    // MARK: redirects

    @Test func redirectsAreFollowedAFewTimes() async throws {
        try await with([
            Fault(path: "/a", redirect: "/b"), Fault(path: "/b", redirect: "c/d"),
            Fault(path: "/c/d", redirect: "/files/v2"),
        ]) { server async throws in
            var job = try rig.job(server.url, path: "/a")
            job.verification.sidecarURL = "\(server.url)/files/v2.minisig"
            #expect(try rig.arrivedWhole(try await fetch.download(job)))
        }
    }

    @Test func aCircleOfRedirectsIsRefused() async throws {
        try await with([Fault(path: "/a", redirect: "/b"), Fault(path: "/b", redirect: "/a")]) { server async throws in
            #expect(try await fetch.download(rig.job(server.url, path: "/a")) == .refused("more than 5 redirects"))
        }
    }

    @Test(arguments: ["file:///etc/passwd", "ftp://127.0.0.1/x", ""])
    func aRedirectOutOfTheWebIsRefused(target: String) async throws {
        try await with([Fault(path: "/a", redirect: target)]) { server async throws in
            #expect(
                try await fetch.download(rig.job(server.url, path: "/a"))
                    == .refused("HTTP 302 without a usable Location"))
        }
    }
}
