import Fetch
import Glibc
import Host
import UpdateCore
import Verification

/// `upgradelink-fetch`, the worker for the network: one job, read from standard input, done with blocking calls, told about
/// on standard output. But for a question, the job is wanted for as long as standard input stays open.
public enum FetchProgram {
    public static func main() -> Never {
        if CommandLine.arguments.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
            print(
                "upgradelink-fetch is upgradelinkd's worker for the network. It takes one job as a line of JSON on standard input."
            )
            exit(0)
        }
        Signals.ignore(SIGPIPE)
        umask(0o077)
        guard let job = readJob() else {
            Environment.printError("upgradelink-fetch: no job on standard input; upgradelinkd starts this program")
            exit(64)
        }
        if let problem = CryptoLibrary.problem ?? HTTPLibrary.problem { fail(job, problem) }
        let cancellation = Cancellation()
        let speedLimit = SpeedLimit(0)
        switch job {
        case .ask:
            // A request that is on its way may consume the server's roll-out quota: its answer is waited for and stored, even
            // if the agent has gone. Its time limits bound it.
            Signals.ignore(SIGTERM)
        case .report, .digest:
            onAbandoned { cancellation.cancel() }
        case .adopt:
            // Nothing it does can be left half done: the file gets its name once it is verified.
            onAbandoned { exit(1) }
        case .download(let job):
            Priority.lower(to: job.courtesy)
            speedLimit.set(job.speedLimit)
            onAbandoned(onLine: { line in
                switch try? JSONLine.decode(DownloadOrder.self, from: Array(line.utf8)) {
                case .limitSpeed(let bytesPerSecond)?: speedLimit.set(max(0, bytesPerSecond))
                case nil: break
                }
            }) { cancellation.cancel() }
        }
        // The job's calls block; the main queue hears of the agent's end meanwhile.
        Thread.start {
            run(job, speedLimit, cancellation)
            exit(0)
        }
        MainActor.assumeIsolated { MainQueue.serve() }
    }

    private static func run(_ job: FetchJob, _ speedLimit: SpeedLimit, _ cancellation: Cancellation) {
        switch job {
        case .ask(let job): JSONLine.send(FetchReport.asked(APIWorker(cancellation).ask(job)))
        case .report(let job): JSONLine.send(FetchReport.reported(APIWorker(cancellation).report(job)))
        case .download(let job):
            JSONLine.send(FetchReport.downloaded(DownloadWorker(job, speedLimit, cancellation).run()))
        case .adopt(let job): JSONLine.send(FetchReport.adopted(AdoptWorker(job).run()))
        case .digest(let text): JSONLine.send(FetchReport.digest(sha256(text)))
        }
    }

    /// Calls `action` when standard input ends or SIGTERM comes: the agent has gone, or does not want the job any more.
    ///
    /// - Parameter onLine: called with each line that follows the request.
    private static func onAbandoned(
        onLine: @escaping @MainActor (String) -> Void = { _ in }, _ action: @escaping @MainActor () -> Void
    ) {
        // Called from `main`, before anything else runs.
        MainActor.assumeIsolated {
            MainQueue.onSignal([SIGTERM]) { _ in action() }
            input = LineChannel(
                input: STDIN_FILENO, limit: maximumMessageBytes, onLine: onLine, onEnd: action)
        }
    }

    @MainActor private static var input: LineChannel?

    /// This box lacks something, which is no fault of the server's nor of the version.
    private static func fail(_ job: FetchJob, _ problem: String) -> Never {
        let trouble = Trouble.worker(problem)
        switch job {
        case .ask: JSONLine.send(FetchReport.asked(AskReport(answer: .trouble(trouble))))
        case .report: JSONLine.send(FetchReport.reported(.trouble(trouble)))
        case .download: JSONLine.send(FetchReport.downloaded(.trouble(trouble)))
        case .adopt: JSONLine.send(FetchReport.adopted(.refused(problem)))
        case .digest: Environment.printError("upgradelink-fetch: \(problem)")
        }
        exit(EX_UNAVAILABLE)
    }

    private static func readJob() -> FetchJob? {
        guard let line = try? JSONLine.readRequest() else { return nil }
        return try? JSONLine.decode(FetchJob.self, from: line)
    }
}
