import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// An update check whose worker is told to end: at a shutdown, or when the agent is stopped.
@Suite struct StopTests {
    private let rig: Rig

    init() async throws { rig = try await Rig() }

    @MainActor private final class Worker {
        private(set) var end: ProcessEnd?
        private var child: ChildProcess?

        init(_ job: CheckJob) throws {
            let program = Program("\(programsDirectory)/upgradelink-fetch", streams: .pipes(), timeLimit: 250)
            child = ChildProcess.start(program, request: try JSONLine.encode(FetchJob.check(job))) { self.end = $0 }
        }

        func requestEnd() { child?.requestEnd() }
    }

    /// Runs an update check, and sends SIGTERM as soon as the server has the request.
    ///
    /// - Returns: the seconds from then to the worker's end.
    private func stop(_ server: RawServer) async throws -> (end: ProcessEnd, seconds: Seconds) {
        let worker = try await Worker(rig.checkJob(server.url) { $0.server.requestTimeout = 200 })
        #expect(await eventually { server.requests.count == 1 })
        let start = Clock.bootTime
        await worker.requestEnd()
        #expect(await eventually(within: 60) { await worker.end != nil })
        return (try #require(await worker.end), Clock.bootTime - start)
    }

    /// The agent ended while it sent the job.
    @Test func aJobThatIsCutIsNotDone() async throws {
        let server = try RawServer { _ in [([], 0)] }
        let line = try JSONLine.encode(FetchJob.check(rig.checkJob(server.url)))
        try Files.replace("\(rig.scratch.path)/job", with: Array(line.dropLast()))
        let output = try await execute(
            "sh",
            [
                "-c", #""$1" <"$2" 2>&1 || echo $?"#, "sh", "\(programsDirectory)/upgradelink-fetch",
                "\(rig.scratch.path)/job",
            ])
        #expect(output.contains("no job on standard input") && output.hasSuffix("\n64\n"), "\(output)")
        #expect(server.requests.isEmpty)
    }

    /// The server's connection stays open, and no response comes.
    @Test func aServerThatNeverAnswersDelaysTheEndForThreeSeconds() async throws {
        let server = try RawServer { _ in [([], 300)] }
        let (end, seconds) = try await stop(server)
        #expect(end == .exited(0))
        // Without a limit it would wait for the response.
        #expect(seconds > 2.5 && seconds < 25, "\(seconds) s")
        #expect(!rig.scratch.exists("offer.json"))
    }

    /// The server grants an offer only once.
    @Test func aResponseThatComesAfterSIGTERMIsStored() async throws {
        let body = """
            {"code":200,"msg":"","data":{"urlKey":"device","versionName":"v2","versionCode":2,\
            "urlPath":"http://127.0.0.1/v2","upgradeType":2,"promptUpgradeContent":""}}
            """
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        let server = try RawServer { _ in [([], 0.3), (Array((head + body).utf8), 0)] }
        let (end, _) = try await stop(server)
        #expect(end == .exited(0))
        let stored = try JSONLine.decode(Offer.self, from: Files.read("\(rig.scratch.path)/offer.json", limit: 65_536))
        #expect(stored.versionCode == 2)
    }
}
