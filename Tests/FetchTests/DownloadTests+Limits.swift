import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// Sizes, disk space, pace, time and memory.
extension DownloadTests {
    @Test func aFileAboveTheSizeLimitIsRefusedBeforeItsFirstByte() async throws {
        try await with { server async throws in
            guard
                case .refused(let line, _)? = try await fetch.download(
                    rig.job(server.url) { $0.sizeLimit = ByteCount(Rig.size) - 1 })
            else {
                Issue.record("not refused")
                return
            }
            #expect(line.contains("download.sizeLimit"))
            #expect(try Files.read("\(rig.staging)/2.part", limit: 10).isEmpty)
        }
    }

    @Test func missingDiskSpaceIsReported() async throws {
        try await with { server async throws in
            guard case .noSpace(let line)? = try await fetch.download(rig.job(server.url) { $0.keepFree = .max / 2 })
            else {
                Issue.record("the disk space is not reported")
                return
            }
            #expect(line.contains("3.0 MB more are needed in \(rig.staging)") && line.contains("download.keepFree"))
        }
    }

    @Test func aSpeedLimitIsKept() async throws {
        try await with { server async throws in
            let before = Clock.bootTime
            // It does not count as a slow one.
            let job = try rig.job(server.url) {
                $0.speedLimit = 1_500_000
                $0.lowSpeed = 10_000_000
                $0.lowSpeedTime = 1
            }
            #expect(try rig.isComplete(try await fetch.download(job)))
            #expect(Clock.bootTime - before > 1)
        }
    }

    @Test func aSlowSignatureTimesOut() async throws {
        try await with([Fault(path: "/files/v2", bytesPerSecond: 50)]) { server async throws in
            let job = try rig.job(server.url) {
                $0.lowSpeed = 10_000
                $0.lowSpeedTime = 1
            }
            // The signature comes first and is slow too: its own time limit ends it.
            var quick = job
            quick.connection.requestTimeout = 2
            guard case .transientError(.network)? = try await fetch.download(quick) else {
                Issue.record("no transient error")
                return
            }
        }
    }

    /// Sends the right signature, and then these pieces.
    private func server(ofFile pieces: [(bytes: [UInt8], pause: Double)]) throws -> RawServer {
        let sidecar = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        let head = Array("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(sidecar.count)\r\n\r\n".utf8)
        return try RawServer { $0 == 1 ? [(head + sidecar, 0)] : pieces }
    }

    @Test func aSlowFileTimesOut() async throws {
        let raw = try server(
            ofFile: [(Array("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".utf8), 0)]
                + (0..<400).map { _ in ([1, 2, 3], 0.1) })
        let result = try await fetch.download(
            rig.job(raw.url) {
                $0.lowSpeed = 10_000
                $0.lowSpeedTime = 2
            })
        guard case .transientError(.network(let line))? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(line.contains("too slow"))
    }

    @Test func anEndlessFileWithoutALengthEndsAtTheSizeLimit() async throws {
        let raw = try server(
            ofFile: [(Array("HTTP/1.1 200 OK\r\n\r\n".utf8), 0)]
                + (0..<64).map { _ in ([UInt8](repeating: 7, count: 100_000), 0) })
        guard case .refused(let line, _)? = try await fetch.download(rig.job(raw.url) { $0.sizeLimit = 2_000_000 })
        else {
            Issue.record("not refused")
            return
        }
        #expect(line.contains("download.sizeLimit is 2.0 MB"))
    }

    /// A worker with a limit of 64 MiB of memory downloads a file of 400 MB (RLIMIT_DATA, setrlimit(2)).
    @Test func memoryDoesNotGrowWithTheFile() async throws {
        try await execute("truncate", ["-s", "400000000", "\(rig.scratch.path)/files/v2"])
        try await rig.sign()
        try await with { server async throws in
            let (reports, end) = try await fetch.run(.download(rig.job(server.url)), memory: 65_536)
            guard end == .exited(0), case .downloaded(.verified, _)? = reports.last else {
                Issue.record("\(end)")
                return
            }
        }
    }
}
