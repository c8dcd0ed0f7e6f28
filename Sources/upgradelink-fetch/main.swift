import Fetch
import Glibc
import Host
import UpdateCore

// One job: read from standard input, done with blocking calls, told about on standard output. But for a question, the job
// is wanted for as long as standard input stays open.

if CommandLine.arguments.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
    print(
        "upgradelink-fetch is upgradelinkd's worker for the network. It takes one job as a line of JSON on standard input."
    )
    exit(0)
}
ProcessGuard.ignoreBrokenPipes()
umask(0o077)
guard let (job, file) = readJob() else {
    Environment.printError("upgradelink-fetch: no job on standard input; upgradelinkd starts this program")
    exit(64)
}
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
case .download(let job): JSONLine.send(FetchReport.downloaded(DownloadWorker(job, speedLimit, cancellation).run()))
case .adopt(let job): JSONLine.send(FetchReport.adopted(AdoptWorker(job, file).run()))
case .digest(let text): JSONLine.send(FetchReport.digest(sha256(text)))
}

/// A job that comes with a file comes through a socket.
func readJob() -> (FetchJob, OpenFile?)? {
    guard let input = LocalSocket.standardInput else {
        guard let line = try? JSONLine.readRequest() else { return nil }
        return (try? JSONLine.decode(FetchJob.self, from: line)).map { ($0, nil) }
    }
    guard let (line, file) = try? input.receiveLine(limit: maximumMessageBytes, within: 10) else { return nil }
    return (try? JSONLine.decode(FetchJob.self, from: line)).map { ($0, file) }
}
