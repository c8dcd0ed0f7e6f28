/// What the agent has counted since its start. The counts are not stored: Prometheus recognizes a counter that begins anew.
public struct MetricCounters: Hashable, Sendable {
    public enum Request: String, CaseIterable, Sendable { case poll, download, report }

    /// A request that failed, and why.
    struct Failure: Hashable {
        let request: Request
        let reason: ReasonCode
    }

    private(set) var requests: [Request: Int] = [:]
    private(set) var failures: [Failure: Int] = [:]
    private(set) var results: [Attempt.Result: Int] = [:]
    /// Bytes of downloaded files, including those that were discarded.
    private(set) var downloadedBytes: ByteCount = 0

    public init() {}

    /// Counts an event, and the effects that the core decided on.
    public mutating func count(_ event: Event, _ effects: [Effect]) {
        switch event {
        case .checked(let report):
            count(.poll, report.response.failure)
        case .downloaded(_, let result, let traffic):
            count(.download, result.failure)
            add(traffic)
        case .reported(_, let delivery):
            count(.report, delivery.failure)
        case .started, .tick, .command, .fileOffered, .installed, .configurationChanged: break
        }
        for case .announce(.finished(let attempt)) in effects { results[attempt.result, default: 0] += 1 }
    }

    /// Counts the bytes of a download. The event of its end contains them; a download that was stopped has no event.
    public mutating func add(_ traffic: DownloadTraffic) {
        let (sum, overflow) = downloadedBytes.addingReportingOverflow(max(0, traffic.received))
        downloadedBytes = overflow ? .max : sum
    }

    private mutating func count(_ request: Request, _ failure: ReasonCode?) {
        requests[request, default: 0] += 1
        if let failure { failures[Failure(request: request, reason: failure), default: 0] += 1 }
    }
}

extension CheckResponse {
    /// Nil if the server has told what the device must run. A refused offer is such a response.
    fileprivate var failure: ReasonCode? {
        switch self {
        case .offer, .refusedOffer, .latest: nil
        case .misconfigured(let misconfiguration): misconfiguration.reasonCode
        case .transientError(let error): error.code
        }
    }
}

extension DownloadResult {
    fileprivate var failure: ReasonCode? {
        switch self {
        case .verified: nil
        case .gone: .fileMissing
        case .refused(_, let code): code ?? .unknown
        case .noSpace: .diskFull
        case .transientError(let error): error.code
        }
    }
}

extension Delivery {
    fileprivate var failure: ReasonCode? {
        switch self {
        case .delivered: nil
        case .refused(let misconfiguration): misconfiguration.reasonCode
        case .transientError(let error): error.code
        }
    }
}
