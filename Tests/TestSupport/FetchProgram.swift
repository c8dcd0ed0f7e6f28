public import Host
import Synchronization
public import UpdateCore

/// Runs the real `upgradelink-fetch`.
public struct FetchProgram: Sendable {
    public init() { ProcessGuard.ignoreBrokenPipes() }

    /// - Returns: all reports, the last of which says what became of the job.
    public func run(
        _ job: FetchJob, timeLimit: Duration = .seconds(60)
    ) async throws -> (reports: [FetchReport], end: ProcessEnd) {
        var reports: [FetchReport] = []
        let end = await Worker("\(programsFolder)/upgradelink-fetch", timeLimit: timeLimit).run(
            try JSONLine.encode(job)
        ) { line in
            if let report = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) { reports.append(report) }
        }
        return (reports, end)
    }

    public func download(_ job: DownloadJob, timeLimit: Duration = .seconds(60)) async throws -> DownloadResult? {
        guard case .downloaded(let result)? = try await run(.download(job), timeLimit: timeLimit).reports.last else {
            return nil
        }
        return result
    }

    public func ask(_ job: AskJob) async throws -> AskReport? {
        guard case .asked(let report)? = try await run(.ask(job)).reports.last else { return nil }
        return report
    }
}
