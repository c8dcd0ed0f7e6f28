import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// A worker outlives its agent for a moment, and the next agent starts another one.
@Suite struct ConcurrentWorkerTests {
    private let rig: Rig

    init() async throws { rig = try await Rig() }

    @MainActor private final class Worker {
        private(set) var end: ProcessEnd?
        private(set) var reports: [FetchReport] = []
        private var child: ChildProcess?

        init(_ job: DownloadJob) throws {
            let program = Program("\(programsDirectory)/upgradelink-fetch", streams: .pipes(), timeLimit: 100)
            child = ChildProcess.start(
                program, request: try JSONLine.encode(FetchJob.download(job)),
                onLine: { line in
                    if let report = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) {
                        self.reports.append(report)
                    }
                }, onEnd: { self.end = $0 })
        }

        func requestEnd() { child?.requestEnd() }

        var received: ByteCount {
            reports.reduce(0) { if case .progress(let progress) = $1 { max($0, progress.received) } else { $0 } }
        }

        var result: DownloadResult? {
            if case .downloaded(let result, _)? = reports.last { result } else { nil }
        }
    }

    /// Two would write to one partial file, and each would replace the other's note.
    @Test func aSecondWorkerWaitsForTheEndOfTheFirst() async throws {
        // The first two requests are those of the first worker, for the signature and for the file.
        let slow = Fault(path: "/files/v2", times: 2, bytesPerSecond: 400_000)
        try await SimulatedServer.run(rig.configuration([slow])) { server async throws in
            let job = try rig.job(server.url)
            let first = try await Worker(job)
            #expect(await eventually { await first.received > 0 })
            let second = try await Worker(job)
            let third = try await Worker(job)
            let before = await first.received
            #expect(await eventually { await first.received > before })
            #expect(await server.records.count == 2, "another worker has not waited")
            // A worker that waits can be cancelled.
            await third.requestEnd()
            #expect(await eventually { await third.end != nil })
            #expect(await third.result == .transientError(.network("cancelled")))
            #expect(await first.end == nil)
            #expect(await server.records.count == 2)
            await first.requestEnd()
            #expect(await eventually { await second.end != nil })
            #expect(await first.result == .transientError(.network("cancelled")))
            #expect(try rig.isComplete(await second.result))
            let ranges = await server.records.filter { $0.path == "/files/v2" }.map { $0.headers["range"] }
            #expect(ranges.count == 2 && ranges[0] == nil && ranges[1]?.hasPrefix("bytes=") == true, "\(ranges)")
        }
    }

    /// Without verification, nothing else tells that a range is of another file.
    @Test func aRangeOfAFileThatIsNotVerifiedIsBoundToItsValidator() async throws {
        let content = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        let host = try FileHost({ ["/files/v2": content] }) { request in
            if request.earlier == 0 { return request.cut(request.honest(), after: 1_000_000) }
            guard request.start != nil, request.headers["if-range"] != "\"v\"" else { return nil }
            // The file was replaced by another one of the same length, whose node sends no validator.
            return request.respond(
                "206 Partial Content", ["Content-Range: bytes 1000000-\(Rig.size - 1)/\(Rig.size)"],
                [UInt8](repeating: 7, count: Rig.size - 1_000_000))
        }
        try await TLSFront.run(of: host.port) { front async throws in
            let job = try rig.job(front.url) {
                $0.connection.caBundle = front.caBundle
                $0.verification.mode = .none
            }
            _ = try await FetchProgram().download(job)
            guard case .verified(let artifact)? = try await FetchProgram().download(job) else {
                Issue.record("not complete")
                return
            }
            #expect(try Files.read(artifact.path, limit: 1 << 30) == content)
            #expect(host.requests.map(\.range) == [nil, "bytes=1000000-"])
        }
    }
}
