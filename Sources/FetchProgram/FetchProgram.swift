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
        ProcessGuard.ignoreBrokenPipes()
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
            // A request that is on its way may spend a counter on the server: its answer is waited for and stored, even if the
            // agent is gone. Its time limits bound it.
            signal(SIGTERM, SIG_IGN)
        case .report, .digest:
            ProcessGuard.onAbandoned { cancellation.cancel() }
        case .adopt:
            // Nothing it does can be left half done: the file gets its name once it is genuine.
            ProcessGuard.onAbandoned { exit(1) }
        case .download(let job):
            Priority.lower(to: job.courtesy)
            speedLimit.set(job.speedLimit)
            let limit = speedLimit
            ProcessGuard.onAbandoned(onLine: { line in
                switch try? JSONLine.decode(DownloadOrder.self, from: line) {
                case .limitSpeed(let bytesPerSecond)?: limit.set(max(0, bytesPerSecond))
                case nil: break
                }
            }) { cancellation.cancel() }
        }

        switch job {
        case .ask(let job): JSONLine.send(FetchReport.asked(APIWorker(cancellation).ask(job)))
        case .report(let job): JSONLine.send(FetchReport.reported(APIWorker(cancellation).report(job)))
        case .download(let job):
            JSONLine.send(FetchReport.downloaded(DownloadWorker(job, speedLimit, cancellation).run()))
        case .adopt(let job): JSONLine.send(FetchReport.adopted(AdoptWorker(job).run()))
        case .digest(let text): JSONLine.send(FetchReport.digest(sha256(text)))
        }
        exit(0)
    }

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
