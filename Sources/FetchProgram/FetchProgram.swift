import Fetch
import Glibc
import Host
import UpdateCore
import Verification

/// `upgradelink-fetch`, the worker for the network. It reads one job from standard input, performs it with blocking calls, and
/// writes its reports to standard output. Every job except an update check ends when standard input closes.
public enum FetchProgram {
    /// How long an update check waits for its response after SIGTERM, in seconds. TimeoutStopSec= of upgradelinkd.service is longer.
    private static let stopPatience: Seconds = 3

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
        let reporter = Reporter(job, environment: Environment.current)
        if let problem = CryptoLibrary.problem ?? HTTPLibrary.problem { fail(job, problem, reporter) }
        let cancellation = Cancellation()
        let speedLimit = SpeedLimit(0)
        switch job {
        case .check:
            // A request may consume the server's roll-out quota as soon as it is sent. The worker therefore waits for the
            // response and stores it, even if the agent has ended. The time limits of the request still apply; after SIGTERM,
            // which also comes at a shutdown, a short one does. A response that has arrived is still stored.
            MainActor.assumeIsolated {
                MainQueue.onSignal([SIGTERM]) { _ in MainQueue.after(stopPatience) { cancellation.cancel() } }
            }
        case .report, .digest:
            onAbandoned { cancellation.cancel() }
        case .adopt:
            // An end at any moment does no harm: a file in the staging directory is verified before it is used.
            onAbandoned { exit(1) }
        case .download(let job):
            Priority.lower(to: job.priority)
            speedLimit.set(job.speedLimit)
            onAbandoned(onLine: { line in
                switch try? JSONLine.decode(DownloadControl.self, from: Array(line.utf8)) {
                case .limitSpeed(let bytesPerSecond)?: speedLimit.set(max(0, bytesPerSecond))
                case nil: break
                }
            }) { cancellation.cancel() }
        }
        // The calls of the job block, so they run on another thread. The main queue handles the agent's end and SIGTERM.
        Thread.start {
            run(job, reporter, speedLimit, cancellation)
            exit(0)
        }
        MainActor.assumeIsolated { MainQueue.serve() }
    }

    private static func run(
        _ job: FetchJob, _ reporter: Reporter, _ speedLimit: SpeedLimit, _ cancellation: Cancellation
    ) {
        switch job {
        case .check(let job): reporter.send(.checked(APIWorker(reporter, cancellation).check(job)))
        case .report(let job): reporter.send(.reported(APIWorker(reporter, cancellation).report(job)))
        case .download(let job): reporter.send(DownloadWorker(job, reporter, speedLimit, cancellation).run())
        case .adopt(let job): reporter.send(.adopted(AdoptWorker(job).run()))
        case .digest(let text): reporter.send(.digest(sha256(text)))
        }
    }

    /// Calls `action` when standard input ends or SIGTERM comes: the agent has ended, or has cancelled the job.
    ///
    /// - Parameter onLine: called with each line that follows the job.
    private static func onAbandoned(
        onLine: @escaping @MainActor (String) -> Void = { _ in }, _ action: @escaping @MainActor () -> Void
    ) {
        // `main` calls this on the main thread.
        MainActor.assumeIsolated {
            MainQueue.onSignal([SIGTERM]) { _ in action() }
            input = LineChannel(
                input: STDIN_FILENO, limit: maximumMessageBytes, onLine: onLine, onEnd: action)
        }
    }

    @MainActor private static var input: LineChannel?

    /// Reports that this device lacks a library. This is a failure neither of the server nor of the version.
    private static func fail(_ job: FetchJob, _ problem: String, _ reporter: Reporter) -> Never {
        let transientError = TransientError.worker(problem)
        switch job {
        case .check: reporter.send(.checked(CheckReport(response: .transientError(transientError))))
        case .report: reporter.send(.reported(.transientError(transientError)))
        case .download:
            reporter.send(.downloaded(.transientError(transientError), DownloadTraffic()))
        case .adopt: reporter.send(.adopted(.refused(problem)))
        case .digest: Environment.printError("upgradelink-fetch: \(problem)")
        }
        exit(EX_UNAVAILABLE)
    }

    private static func readJob() -> FetchJob? {
        guard let line = try? JSONLine.readRequest() else { return nil }
        return try? JSONLine.decode(FetchJob.self, from: line)
    }
}
