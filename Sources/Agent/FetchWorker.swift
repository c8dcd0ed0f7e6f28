import Host
import UpdateCore

/// The agent's side of `upgradelink-fetch`.
struct FetchWorker {
    let path: String

    init(_ installation: Agent.Installation) { path = "\(installation.programs)/upgradelink-fetch" }

    /// Starts one job.
    ///
    /// - Parameters:
    ///   - files: become the worker's descriptors 3 and so on.
    ///   - onReport: hears each report as it comes; the last says what became of the job.
    ///   - onEnd: hears how the worker ended.
    @discardableResult
    func start(
        on loop: EventLoop, _ job: FetchJob, handing files: [OpenFile] = [], timeLimit: Seconds,
        onReport: @escaping (FetchReport) -> Void, onEnd: @escaping (ProcessEnd) -> Void
    ) -> RunningWorker? {
        guard let request = try? JSONLine.encode(job) else {
            loop.soon { onEnd(.couldNotStart("the job cannot be encoded")) }
            return nil
        }
        return Worker(path, line: .pipes(handing: files), timeLimit: timeLimit).start(
            on: loop, request,
            onLine: { line in
                if let report = Self.report(line) { onReport(report) }
            }, onEnd: onEnd)
    }

    /// SHA-256 of a text, in hex, for which everything else waits: some milliseconds.
    func digest(_ text: String) -> String? {
        guard let request = try? JSONLine.encode(FetchJob.digest(text)) else { return nil }
        for line in Worker(path, timeLimit: 10).run(request).lines {
            if case .digest(let value)? = Self.report(line) { return value }
        }
        return nil
    }

    private static func report(_ line: String) -> FetchReport? {
        try? JSONLine.decode(FetchReport.self, from: Array(line.utf8))
    }
}
