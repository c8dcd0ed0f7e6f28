import Host
import UpdateCore

/// Sends the reports of this worker: everything that it sends is free of the job's secrets.
struct Reporter: Sendable {
    private let redaction: Redaction

    init(_ job: FetchJob, environment: [String: String]) {
        redaction =
            switch job {
            case .check(let job): Redaction(job.server, job.credentials, environment: environment)
            case .report(let job): Redaction(job.server, job.credentials, environment: environment)
            case .download(let job):
                Redaction(
                    job.connection, urls: [job.offer.urlPath, job.verification.sidecarURL], environment: environment)
            case .adopt, .digest: Redaction([])
            }
    }

    func send(_ report: FetchReport) { JSONLine.send(report.redacted(redaction)) }
}
