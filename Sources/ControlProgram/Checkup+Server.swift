import Configuration
import DeviceChecks
import Host
import UpdateCore

/// One update check, and what it says about TLS, the server and the clock.
extension Checkup {
    /// Sends an update check that cannot be granted anything, because it reports the highest possible version.
    ///
    /// - Parameter done: called with findings for TLS, the reply and the clock.
    @MainActor func server(then done: @escaping @MainActor ([Finding]) -> Void) {
        check { report, end in done([tls(report), reply(report, end), clock(report)]) }
    }

    private var fetchProgram: String { "\(programs)/upgradelink-fetch" }

    private func tls(_ report: CheckReport?) -> Finding {
        let name = "TLS"
        switch report?.response {
        case .transientError(.tls(let text))?:
            return .bad(
                name, text, report?.isOutOfDate == true ? "correct the clock first" : "check server.caBundle")
        case .transientError(.network)?, nil: return .skip(name, "not checked without a connection")
        default: break
        }
        if WebURL(settings.server.url)?.isSecure == true { return .ok(name, "the server's certificate is valid") }
        return .skip(name, "not used: server.url is plain http")
    }

    private func reply(_ report: CheckReport?, _ end: String) -> Finding {
        let name = "server"
        switch report?.response {
        case .latest?, .offer?, .refusedOffer?: return .ok(name, "it knows this device and responds")
        case .misconfigured(let problem)?:
            return .bad(name, problem.line, "see [server], [credentials] and [device]")
        case .transientError(.tls)?: return .skip(name, "not checked without TLS")
        case .transientError(let transientError)?:
            return .bad(name, transientError.line, "check the network, server.url and server.proxy")
        case nil:
            let problem = InstalledProgram.problem(of: fetchProgram)
            return .bad(name, problem?.text ?? end, problem?.remedy ?? "install upgradelinkd again")
        }
    }

    private func clock(_ report: CheckReport?) -> Finding {
        let server = report?.serverClock.flatMap { clock in
            (try? Clock.bootID()).flatMap { clock.time(at: Clock.bootTime, bootID: $0) }
        }
        let isCompared = report.map { if case .transientError = $0.response { false } else { true } } ?? false
        return ClockFinding.finding(
            now: Clock.wallTime, built: Clock.buildTime, server: server ?? report?.serverTime, isCompared: isCompared,
            isSynchronized: Clock.isSynchronized, text: LocalTime.text)
    }

    @MainActor private func check(then done: @escaping @MainActor (CheckReport?, _ end: String) -> Void) {
        let checkRequest = CheckRequest(
            urlKey: settings.device.urlKey, versionCode: Int(Int32.max), devModelKey: settings.device.devModelKey,
            devKey: settings.device.devKey)
        let job = FetchJob.check(
            CheckJob(
                server: settings.server, credentials: credentials, checkRequest: checkRequest, serverClock: nil,
                inbox: "/dev/null/nothing-is-granted"))
        let path = fetchProgram
        adoptProxyVariables()
        guard let request = try? JSONLine.encode(job) else { return done(nil, "the update check cannot be encoded") }
        let limit = 2 * (settings.server.connectTimeout + settings.server.requestTimeout) + 10
        var report: CheckReport?
        ChildProcess.start(
            Program(path, streams: .pipes(), timeLimit: limit), request: request,
            onLine: { line in
                if case .checked(let value)? = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) {
                    report = value
                }
            }
        ) { end in
            done(report, "\(path): \(end)")
        }
    }
}
