import Host
import UpdateCore

/// The agent's side of `upgradelink-fetch`.
struct FetchWorker {
    let path: String

    init(_ installation: Agent.Installation) { path = "\(installation.programs)/upgradelink-fetch" }

    /// Starts one job. Neither closure is called before this returns.
    ///
    /// - Parameters:
    ///   - files: become the worker's descriptors 3 and so on.
    ///   - timeLimit: in seconds; the worker is terminated after this time.
    ///   - onReport: called with each report when it is received; the last one contains the result of the job.
    ///   - onEnd: called once, after the last report.
    @discardableResult
    func start(
        _ job: FetchJob, passing files: [OpenFile] = [], timeLimit: Seconds,
        onReport: @escaping @MainActor (FetchReport) -> Void, onEnd: @escaping @MainActor (ProcessEnd) -> Void
    ) -> ChildProcess? {
        guard let request = try? JSONLine.encode(job) else {
            MainQueue.soon { onEnd(.couldNotStart("the job cannot be encoded")) }
            return nil
        }
        return ChildProcess.start(
            Program(path, streams: .pipes(passing: files), timeLimit: timeLimit), request: request,
            onLine: { line in
                if let report = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) { onReport(report) }
            }, onEnd: onEnd)
    }

    /// Computes the SHA-256 digest of a text, in hex; nil if the worker fails.
    func digest(_ text: String, then: @escaping @MainActor (String?) -> Void) {
        var digest: String?
        start(.digest(text), timeLimit: 10) { report in
            if case .digest(let value) = report { digest = value }
        } onEnd: { _ in
            then(digest)
        }
    }
}
