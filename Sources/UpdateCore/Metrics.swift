/// Values of the metrics that the agent's state does not contain.
public struct MetricSources: Hashable, Sendable {
    public var counters = MetricCounters()
    /// When the agent was started. Its wall clock may be set later: the time is that of the present wall clock.
    public var started: BootInstant
    /// The agent itself has an error, such as a configuration that it could not reload.
    public var hasError = false
    private var shownStart = ShownTime()
    private var shownPoll = ShownTime()

    public init(started: BootInstant) { self.started = started }

    fileprivate mutating func start(_ context: Context) -> Int64 { shownStart.show(started, context) }
    fileprivate mutating func poll(_ moment: BootInstant, _ context: Context) -> Int64 {
        shownPoll.show(moment, context)
    }

    /// A moment of CLOCK_BOOTTIME in Unix seconds, as it was shown last.
    private struct ShownTime: Hashable {
        var seconds: Int64?

        /// The moment is computed from two clocks: a difference of less than 3 s is none.
        mutating func show(_ moment: BootInstant, _ context: Context) -> Int64 {
            let new = (context.wallClock + (moment - context.now)).wholeSeconds
            if let seconds, abs(new - seconds) < 3 { return seconds }
            seconds = new
            return new
        }
    }
}

/// The metrics of the agent, as docs/monitoring.md lists them.
public func metrics(_ state: AgentState, _ context: Context, _ sources: inout MetricSources) -> [MetricFamily] {
    general(state, context, &sources) + versions(state, context) + polls(state, context, &sources)
        + requests(sources.counters) + results(state, sources.counters)
}

private typealias Sample = MetricFamily.Sample
private typealias Label = MetricFamily.Label

/// Every name that ``AgentState/name`` can have.
let stateNames = [
    "idle", "checking", "downloading", "consent", "ready", "installing", "restart", "waiting", "error",
]

private func general(_ state: AgentState, _ context: Context, _ sources: inout MetricSources) -> [MetricFamily] {
    let name = sources.hasError || state.isStuck(context) ? "error" : state.name
    return [
        MetricFamily(
            "upgradelink_build_info", .gauge, "The version of upgradelinkd; always 1.",
            [Sample(labels: [Label(name: "version", value: productVersion)], value: 1)]),
        MetricFamily(
            "upgradelink_start_time_seconds", .gauge, "When the agent was started; the counters began then.",
            sources.start(context)),
        MetricFamily(
            "upgradelink_state", .gauge, "The agent's state: 1 for the present one, 0 for every other.",
            stateNames.map { Sample(labels: [Label(name: "state", value: $0)], value: $0 == name ? 1 : 0) }),
        MetricFamily(
            "upgradelink_warnings", .gauge, "The number of warnings that upgradelinkctl status shows.",
            Int64(warnings(state, context).count)),
        MetricFamily(
            "upgradelink_windows_missed", .gauge,
            "1 if the offered version has missed its maintenance windows for too long.",
            state.work.map(context.isOverdue) == true ? 1 : 0),
    ]
}

private func versions(_ state: AgentState, _ context: Context) -> [MetricFamily] {
    var installedName: String?
    if case .known(_, let name?) = context.installed { installedName = name }
    let offer = state.work?.offer
    let failures = state.trials.filter { context.mayOffer($0.versionCode) }.sorted { $0.versionCode < $1.versionCode }
    let refused = state.refusedVersions(context)
    return [
        MetricFamily(
            "upgradelink_installed_version_code", .gauge, "The code of the installed version; absent if it is unknown.",
            context.installed.versionCode.map { Int64($0) }),
        MetricFamily(
            "upgradelink_installed_version_info", .gauge, "The name of the installed version; always 1.",
            installedName.map { [Sample(labels: [.versionName($0)], value: 1)] } ?? []),
        MetricFamily(
            "upgradelink_offered_version_code", .gauge, "The code of the offered version; absent if there is no offer.",
            (offer?.versionCode).map { Int64($0) }),
        MetricFamily(
            "upgradelink_offered_version_info", .gauge, "The name and the type of the offered version; always 1.",
            offer.map {
                [
                    Sample(
                        labels: [
                            .versionName($0.versionName),
                            Label(name: "upgrade_type", value: $0.upgradeType.word),
                        ], value: 1)
                ]
            } ?? []),
        MetricFamily(
            "upgradelink_offer_start_time_seconds", .gauge,
            "When this offer was taken up; absent if there is no offer.",
            state.work?.started.wholeSeconds),
        MetricFamily(
            "upgradelink_version_failures", .gauge,
            "How often a version above the installed one failed on this device.",
            failures.map { Sample(labels: [.versionCode($0.versionCode)], value: Int64($0.failures)) }),
        MetricFamily(
            "upgradelink_blocked_versions", .gauge,
            "The number of versions that are not installed because they failed too often.",
            Int64(refused.count { $0.why == .blocked })),
        MetricFamily(
            "upgradelink_rejected_versions", .gauge, "The number of versions that the user has rejected.",
            Int64(refused.count { $0.why == .rejected })),
    ]
}

private func polls(_ state: AgentState, _ context: Context, _ sources: inout MetricSources) -> [MetricFamily] {
    let next = state.poll.isRunning ? nil : sources.poll(state.poll.next, context)
    return [
        MetricFamily(
            "upgradelink_last_successful_poll_timestamp_seconds", .gauge,
            "When the server last answered an update check; absent if it never has.",
            state.poll.lastResponse?.wholeSeconds),
        MetricFamily(
            "upgradelink_next_poll_timestamp_seconds", .gauge,
            "When the next update check is due; absent while one runs.", next),
    ]
}

private func requests(_ counters: MetricCounters) -> [MetricFamily] {
    let failures = counters.failures.sorted {
        ($0.key.request.rawValue, $0.key.reason.rawValue) < ($1.key.request.rawValue, $1.key.reason.rawValue)
    }
    return [
        MetricFamily(
            "upgradelink_requests_total", .counter, "Update checks, downloads and event reports.",
            MetricCounters.Request.allCases.map {
                Sample(labels: [.request($0)], value: Int64(counters.requests[$0, default: 0]))
            }),
        MetricFamily(
            "upgradelink_request_failures_total", .counter, "Those of upgradelink_requests_total that failed.",
            failures.map {
                Sample(labels: [.request($0.key.request), .reason($0.key.reason)], value: Int64($0.value))
            }),
        MetricFamily(
            "upgradelink_downloaded_bytes_total", .counter,
            "Bytes of files that were received, also of discarded ones.",
            counters.downloadedBytes),
    ]
}

private func results(_ state: AgentState, _ counters: MetricCounters) -> [MetricFamily] {
    let last = state.history.last
    return [
        MetricFamily(
            "upgradelink_results_total", .counter, "Offers, and attempts to install them, that ended with this result.",
            Attempt.Result.allCases.map {
                Sample(labels: [.result($0)], value: Int64(counters.results[$0, default: 0]))
            }),
        MetricFamily(
            "upgradelink_last_result_info", .gauge, "The latest entry of the history; always 1.",
            last.map {
                [
                    Sample(
                        labels: [
                            .result($0.result), .reason($0.reasonCode), .versionCode($0.versionCode),
                            .versionName($0.versionName),
                        ],
                        value: 1)
                ]
            } ?? []),
        MetricFamily(
            "upgradelink_last_result_timestamp_seconds", .gauge, "When the latest entry of the history was made.",
            last?.ended.wholeSeconds),
    ]
}

extension MetricFamily.Label {
    fileprivate static func versionName(_ name: String) -> Self {
        Self(name: "version_name", value: name.sanitized(limit: 100))
    }

    fileprivate static func versionCode(_ code: Int) -> Self { Self(name: "version_code", value: "\(code)") }

    fileprivate static func reason(_ reason: ReasonCode?) -> Self {
        Self(name: "reason", value: reason?.rawValue ?? "")
    }

    fileprivate static func request(_ request: MetricCounters.Request) -> Self {
        Self(name: "request", value: request.rawValue)
    }

    fileprivate static func result(_ result: Attempt.Result) -> Self {
        Self(name: "result", value: result.label)
    }
}

extension Attempt.Result {
    /// As other labels are written.
    fileprivate var label: String { self == .rolledBack ? "rolled-back" : rawValue }
}
