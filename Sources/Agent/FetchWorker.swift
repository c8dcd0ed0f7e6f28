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

    func digest(_ text: String) async -> String? {
        var digest: String?
        _ = await run(.digest(text), timeLimit: .seconds(30)) { report in
            if case .digest(let value) = report { digest = value }
        }
        return digest
    }
}
