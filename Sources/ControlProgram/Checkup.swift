import Configuration
import Glibc
import Host
import Systemd
import UpdateCore

/// The doctor's checks.
struct Checkup {
    let settings: Settings
    let credentials: Credentials
    let programs: String

    /// Beside this program where it was built, else in `../lib/upgradelinkd` where it was installed.
    static var defaultPrograms: String {
        let folder = Files.folder(of: Environment.executablePath)
        return Files.exists("\(folder)/upgradelink-fetch") ? folder : "\(Files.folder(of: folder))/lib/upgradelinkd"
    }

    var version: Finding {
        switch settings.device.version.read() {
        case .known(let code, let name):
            .well("installed version", name.map { "\($0), code \(code)" } ?? "code \(code)")
        case .unknown(let reason): .ill("installed version", reason, "set device.versionFile and device.versionCodeKey")
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
                "verification.mode is \"\(settings.verification.mode.rawValue)\": whoever has the server has the box",
                "sign releases and use \"minisign\"")
        }
    }

    var clock: Finding {
        let now = Clock.wallTime
        return now >= Clock.buildTime
            ? .well("clock", LocalTime.text(now))
            : .ill(
                "clock", "\(LocalTime.text(now)) is before this program was built", "set it: timedatectl set-ntp true")
    }

    var nameService: Finding {
        guard let host = WebURL(settings.server.url)?.host else {
            return .ill("DNS", "server.url has no host", "mend server.url")
        }
        if settings.server.proxy != nil { return .well("DNS", "left to the proxy") }
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, nil, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        return result == 0
            ? .well("DNS", "\(host) is found")
            : .ill("DNS", "\(host): \(String(cString: gai_strerror(result)))", "check the network and /etc/resolv.conf")
    }

    /// A question that is granted nothing: no version is above the highest there can be.
    ///
    /// - Parameter done: called with a finding on TLS, and one on the reply.
    @MainActor func server(then done: @escaping @MainActor ([Finding]) -> Void) {
        ask { report, end in done(findings(report, end)) }
    }

    private func findings(_ report: AskReport?, _ end: String) -> [Finding] {
        let isSecure = WebURL(settings.server.url)?.isSecure == true
        if case .trouble(.tls(let text))? = report?.answer {
            return [
                .ill("TLS", text, "check the clock and server.caBundle"),
                .ill("server", "not asked without TLS", "mend TLS first"),
            ]
        }
        if case .trouble(.network)? = report?.answer {
            return [.well("TLS", "not come to"), reply(report, end)]
        }
        return [
            .well("TLS", isSecure ? "the server's certificate is good" : "not used: server.url is plain http"),
            reply(report, end),
        ]
    }

    @MainActor private func ask(then done: @escaping @MainActor (AskReport?, _ end: String) -> Void) {
        let question = Question(
            urlKey: settings.device.urlKey, versionCode: Int(Int32.max), devModelKey: settings.device.devModelKey,
            devKey: settings.device.devKey)
        let job = FetchJob.ask(
            AskJob(
                server: settings.server, credentials: credentials, question: question, serverClock: nil,
                inbox: "/dev/null/nothing-is-granted"))
        let path = "\(programs)/upgradelink-fetch"
        guard let request = try? JSONLine.encode(job) else { return done(nil, "the question cannot be encoded") }
        let limit = 2 * (settings.server.connectTimeout + settings.server.requestTimeout) + 10
        var report: AskReport?
        ChildProcess.start(
            Program(path, streams: .pipes(), timeLimit: limit), request: request,
            onLine: { line in
                if case .asked(let value)? = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)) {
                    report = value
                }
            }
        ) { end in
            done(report, "\(path): \(end)")
        }
    }

    private func reply(_ report: AskReport?, _ end: String) -> Finding {
        switch report?.answer {
        case .latest?, .offer?, .refusedOffer?:
            report?.serverClock == nil
                ? .well("server", "it knows this box and answers")
                : .ill("server", "it answers, but this box's clock is off", "set the clock")
        case .misconfigured(let problem)?: .ill("server", problem.line, "see [server], [credentials] and [device]")
        case .trouble(let trouble)?: .ill("server", trouble.line, "check the network, server.url and server.proxy")
        case nil: .ill("server", end, "install upgradelinkd again")
        }
    }

    var space: Finding {
        var folder = settings.download.folder
        while !Files.exists(folder), folder != "/" { folder = Files.folder(of: folder) }
        guard let free = try? Files.freeSpace(at: folder) else {
            return .ill("disk space", "\(folder) cannot be examined", "check download.folder")
        }
        let usable = free - settings.download.keepFree
        return usable > 0
            ? .well("disk space", "\(describe(bytes: usable)) for downloads in \(settings.download.folder)")
            : .ill(
                "disk space",
                "\(describe(bytes: free)) are free in \(folder), and download.keepFree is \(describe(bytes: settings.download.keepFree))",
                "make room, or set download.folder")
    }

    var module: Finding {
        let install = settings.install
        let candidates = install.folders.map { "\($0)/\(install.module)" }
        guard let path = candidates.first(where: Files.exists) else {
            return .ill(
                "update module", "\(install.module) is not in \(install.folders.joined(separator: " or "))",
                "install it, or set install.module")
        }
        return Files.isExecutable(path)
            ? .well("update module", path) : .ill("update module", "\(path) is not executable", "chmod +x it")
    }

    /// What systemd says of the agent's unit, and of the installer's socket.
    var units: [Finding] {
        let agent = "upgradelinkd.service"
        let door = "upgradelink-installer.socket"
        do throws(BusError) {
            let bus = try Bus()
            var findings: [Finding] = []
            let (isActive, state, file) = try Self.unit(agent, bus)
            if !isActive {
                findings.append(
                    .ill(
                        "unit", "\(agent) is \(state)",
                        "systemctl enable --now upgradelinkd; systemctl status upgradelinkd"))
            } else if file != "enabled" {
                findings.append(
                    .ill("unit", "\(agent) runs, and is not started by the next boot", "systemctl enable upgradelinkd"))
            } else {
                findings.append(.well("unit", "\(agent) is active and enabled"))
            }
            let socket = try Self.unit(door, bus)
            findings.append(
                socket.isActive
                    ? .well("installer", "\(door) is \(socket.state)")
                    : .ill(
                        "installer", "\(door) is \(socket.state), so nothing can be installed",
                        "systemctl start \(door)"))
            return findings
        } catch {
            return [.well("unit", "there is no systemd on this bus to ask")]
        }
    }

    private static func unit(
        _ name: String, _ bus: Bus
    ) throws(BusError) -> (isActive: Bool, state: String, file: String) {
        let manager = "org.freedesktop.systemd1"
        let unit = try bus.callAndWait(
            manager, "/org/freedesktop/systemd1", "\(manager).Manager", "LoadUnit", [.string(name)])
        let fields = try bus.callAndWait(
            manager, unit.first?.text ?? "/", "org.freedesktop.DBus.Properties", "GetAll",
            [.string("\(manager).Unit")]
        ).first?.fields
        let state = fields?["ActiveState"]?.text ?? "unknown"
        return (state == "active", state, fields?["UnitFileState"]?.text ?? "")
    }

    var agent: Finding {
        do throws(BusError) {
            let status = try AgentClient().status()
            return status.exitStatus == 2
                ? .ill("agent", status.statusText, "see journalctl -u upgradelinkd")
                : .well("agent", status.statusText)
        } catch {
            return .ill("agent", AgentClient.line(error), "see systemctl status upgradelinkd")
        }
    }
}
