import Configuration
import Glibc
import Host
import Systemd
import UpdateCore

/// The checks of `upgradelinkctl doctor`.
struct Checkup {
    let settings: Settings
    let credentials: Credentials
    let programs: String

    /// The directory of upgradelink-fetch: this program's own in a build directory, `../lib/upgradelinkd` if installed.
    static var defaultPrograms: String {
        let directory = Files.directory(of: Environment.executablePath)
        return Files.exists("\(directory)/upgradelink-fetch")
            ? directory : "\(Files.directory(of: directory))/lib/upgradelinkd"
    }

    var version: Finding {
        switch settings.device.version.read() {
        case .known(let code, let name):
            .well("installed version", name.map { "\($0), code \(code)" as Shown } ?? "code \(code)")
        case .unknown(let reason):
            .ill("installed version", "\(reason)", "set device.versionFile and device.versionCodeKey")
        }
    }

    var keys: Finding {
        switch settings.verification.mode {
        case .minisign where settings.verification.keys.isEmpty:
            .ill(
                "keys", "there are none, so nothing is installed",
                "put the publisher's minisign public key into verification.keys")
        case .minisign: .well("keys", "\(settings.verification.keys.count) to verify with")
        case .sha256, .none:
            .ill(
                "keys",
                "verification.mode is \"\(settings.verification.mode.rawValue)\": an attacker who controls the server could install anything",
                "sign releases and use \"minisign\"")
        }
    }

    var clock: Finding {
        let now = Clock.wallTime
        return now >= Clock.buildTime
            ? .well("clock", "\(LocalTime.text(now))")
            : .ill(
                "clock", "\(LocalTime.text(now)) is before this program was built", "set it: timedatectl set-ntp true")
    }

    var nameService: Finding {
        guard let host = WebURL(settings.server.url)?.host else {
            return .ill("DNS", "server.url has no host", "fix server.url")
        }
        if settings.server.proxy != nil { return .well("DNS", "the proxy resolves names") }
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, nil, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        return result == 0
            ? .well("DNS", "\(host) is found")
            : .ill("DNS", "\(host): \(String(cString: gai_strerror(result)))", "check the network and /etc/resolv.conf")
    }

    /// Sends an update check that cannot be granted anything, because it reports the highest possible version.
    ///
    /// - Parameter done: called with a finding for TLS and a finding for the reply.
    @MainActor func server(then done: @escaping @MainActor ([Finding]) -> Void) {
        check { report, end in done(findings(report, end)) }
    }

    private func findings(_ report: CheckReport?, _ end: String) -> [Finding] {
        let isSecure = WebURL(settings.server.url)?.isSecure == true
        if case .transientError(.tls(let text))? = report?.response {
            return [
                .ill("TLS", "\(text)", "check the clock and server.caBundle"),
                .ill("server", "not checked without TLS", "fix TLS first"),
            ]
        }
        if case .transientError(.network)? = report?.response {
            return [.well("TLS", "not checked without a connection"), reply(report, end)]
        }
        return [
            .well("TLS", isSecure ? "the server's certificate is good" : "not used: server.url is plain http"),
            reply(report, end),
        ]
    }

    @MainActor private func check(then done: @escaping @MainActor (CheckReport?, _ end: String) -> Void) {
        let checkRequest = CheckRequest(
            urlKey: settings.device.urlKey, versionCode: Int(Int32.max), devModelKey: settings.device.devModelKey,
            devKey: settings.device.devKey)
        let job = FetchJob.check(
            CheckJob(
                server: settings.server, credentials: credentials, checkRequest: checkRequest, serverClock: nil,
                inbox: "/dev/null/nothing-is-granted"))
        let path = "\(programs)/upgradelink-fetch"
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

    private func reply(_ report: CheckReport?, _ end: String) -> Finding {
        switch report?.response {
        case .latest?, .offer?, .refusedOffer?:
            report?.serverClock == nil
                ? .well("server", "it knows this device and responds")
                : .ill("server", "it responds, but this device's clock is wrong", "set the clock")
        case .misconfigured(let problem)?: .ill("server", "\(problem.line)", "see [server], [credentials] and [device]")
        case .transientError(let transientError)?:
            .ill("server", "\(transientError.line)", "check the network, server.url and server.proxy")
        case nil: .ill("server", "\(end)", "install upgradelinkd again")
        }
    }

    var module: Finding {
        let install = settings.install
        let candidates = install.directories.map { "\($0)/\(install.module)" }
        guard let path = candidates.first(where: Files.exists) else {
            return .ill(
                "update module", "\(install.module) is not in \(install.directories.joined(separator: " or "))",
                "install it, or set install.module")
        }
        return Files.isExecutable(path)
            ? .well("update module", "\(path)") : .ill("update module", "\(path) is not executable", "chmod +x it")
    }

    var agent: Finding {
        do throws(BusError) {
            let status = try AgentClient().status()
            return status.exitStatus == 2
                ? .ill("agent", "\(status.statusText)", "see journalctl -u upgradelinkd")
                : .well("agent", "\(status.statusText)")
        } catch {
            return .ill("agent", "\(AgentClient.line(error))", "see systemctl status upgradelinkd")
        }
    }
}
