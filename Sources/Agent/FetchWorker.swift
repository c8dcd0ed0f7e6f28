import FoundationEssentials
import Host
import UpdateCore

/// The agent's side of `upgradelink-fetch`.
struct FetchWorker {
    let path: String

    init(_ installation: Agent.Installation) { path = "\(installation.programs)/upgradelink-fetch" }

    /// Runs one job.
    ///
    /// - Parameter onReport: each report as it comes.
    /// - Returns: how the worker ended; its last report says what became of the job.
    func run(
        _ job: FetchJob, orders: AsyncStream<[UInt8]>? = nil, timeLimit: Duration, onReport: (FetchReport) -> Void
    ) async -> ProcessEnd {
        guard let request = try? JSONLine.encode(job) else { return .couldNotStart("the job cannot be encoded") }
        return await Worker(path, timeLimit: timeLimit).run(request, messages: orders) { line in
            if let report = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) { onReport(report) }
        }
    }

    /// Has a file that somebody brought proved genuine and taken into the staging folder.
    func adopt(_ job: AdoptJob, _ file: OpenFile, timeLimit: Duration) async -> AdoptResult {
        var result: AdoptResult?
        guard let request = try? JSONLine.encode(FetchJob.adopt(job)) else {
            return .refused("the job cannot be encoded")
        }
        let end = await Worker(path, timeLimit: timeLimit).run(request, passing: file) { line in
            if case .adopted(let value)? = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) {
                result = value
            }
        }
        return result ?? .refused("the worker failed: \(end)")
    }

    func digest(_ text: String) async -> String? {
        var digest: String?
        _ = await run(.digest(text), timeLimit: .seconds(30)) { report in
            if case .digest(let value) = report { digest = value }
        }
        return digest
    }
}
