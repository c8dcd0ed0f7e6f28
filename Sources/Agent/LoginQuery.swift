import Host
import Systemd
import UpdateCore

/// Asks logind once who is logged in, who is active, and what inhibits a shutdown (org.freedesktop.login1(5)). It uses a
/// connection of its own, which ends with the reply.
final class LoginQuery {
    private static let name = "org.freedesktop.login1"
    private static let path = "/org/freedesktop/login1"
    private static let manager = "org.freedesktop.login1.Manager"
    /// In seconds, for each call.
    private static let timeLimit = 5.0
    /// More sessions than any device has.
    private static let maximumSessions = 64

    /// The errors that say that there is no logind. If its unit is missing, masked or cannot be loaded, the bus passes the error of
    /// systemd on; a masked unit that has an alias "exists" twice.
    private static let absences: Set<String> = [
        "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.Spawn.ServiceNotFound", "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.systemd1.UnitMasked", "org.freedesktop.systemd1.LoadFailed",
        "org.freedesktop.systemd1.BadUnitSetting", "org.freedesktop.DBus.Error.FileExists",
        "org.freedesktop.DBus.Error.FileNotFound",
    ]

    private var connection: BusConnection?
    private var done: ((Logins?) -> Void)?
    private var logins = Logins()
    private var paths: [String] = []

    /// - Parameter done: called once, with nil if logind does not say; no user is logged in without logind, or without a bus.
    init(_ done: @escaping (Logins?) -> Void) {
        self.done = done
        do throws(BusError) {
            connection = try BusConnection(acceptsDescriptors: false) { [weak self] _ in self?.finish(nil) }
            call(Self.path, Self.manager, "ListInhibitors") { [weak self] in self?.takeInhibitors($0) }
        } catch {
            // Not within this initialiser: the caller keeps the object until it is done.
            MainQueue.soon { [weak self] in self?.finish(Logins()) }
        }
    }

    private func call(
        _ path: String, _ interface: String, _ member: String, _ arguments: [BusValue] = [],
        _ body: @escaping ([BusValue]) -> Void
    ) {
        connection?.bus.call(Self.name, path, interface, member, arguments, timeout: Self.timeLimit) {
            [weak self] result in
            MainActor.assumeIsolated {
                switch result {
                case .success(let values): body(values)
                case .failure(let error): self?.failed(error)
                }
            }
        }
        connection?.flush()
    }

    private func failed(_ error: BusError) { finish(Self.logins(without: error)) }

    /// What an error says: nil if there is a logind, which did not answer.
    static func logins(without error: BusError) -> Logins? { absences.contains(error.name) ? Logins() : nil }

    private func takeInhibitors(_ values: [BusValue]) {
        // a(ssssuu): what, who, why, mode, user and process.
        let texts = (values.first?.items ?? []).map { ($0.items ?? []).prefix(4).map { $0.text ?? "" } }
        logins.inhibitor =
            texts.first { fields in
                guard fields.count == 4 else { return false }
                let what = fields[0].split(separator: ":")
                // The mode block-weak (systemd 257) does not hinder root from shutting down.
                return fields[3] == "block" && what.contains("shutdown")
                    || fields[3].hasPrefix("block") && what.contains("idle")
            }?[1]
        call(Self.path, Self.manager, "ListSessions") { [weak self] values in
            // a(susso): id, user, name, seat and object.
            self?.paths = (values.first?.items ?? []).prefix(Self.maximumSessions).compactMap { $0.items?.last?.text }
            self?.nextSession()
        }
    }

    private func nextSession() {
        guard let path = paths.popLast() else { return finish(logins) }
        call(path, "org.freedesktop.DBus.Properties", "GetAll", [.string("\(Self.name).Session")]) {
            [weak self] values in
            guard let self else { return }
            if let session = LoginSession(
                values.first?.fields ?? [:], now: Clock.bootTime, monotonic: Clock.monotonicMicroseconds)
            {
                self.logins.sessions.append(session.login)
            }
            self.nextSession()
        }
    }

    private func finish(_ result: Logins?) {
        guard let done else { return }
        self.done = nil
        // The handler of one of its replies may be running.
        MainQueue.soon { [connection] in connection?.close() }
        done(result)
    }
}

/// A session of logind, from its properties (org.freedesktop.login1(5), "Session Objects").
struct LoginSession {
    let login: Logins.Session

    /// Nil if no user can use the device through it.
    init?(_ properties: [String: BusValue], now: BootInstant, monotonic: UInt64) {
        let kind = properties["Class"]?.text ?? ""
        guard !kind.hasPrefix("background"), !kind.hasPrefix("manager"), kind != "none",
            properties["State"]?.text != "closing"
        else { return nil }
        let user = properties["Name"]?.text ?? "a user"
        let changed = properties["IdleSinceHintMonotonic"]?.number ?? 0
        let isIdle = properties["IdleHint"]?.flag == true
        // Standby does not count: a user who ends it uses the device.
        let since = BootInstant(now.seconds - Seconds(monotonic - min(changed, monotonic)) / 1e6)
        let isTerminal = properties["Type"]?.text == "tty"
        let use: Logins.Use
        if isTerminal, properties["VTNr"]?.number ?? 0 > 0 {
            // A user interface may run in it (agetty --autologin): its input does not come through the terminal.
            use = .unknown
        } else if changed == 0 {
            // A graphical session that never calls SetIdleHint, or a session without a terminal.
            use = isIdle ? .idle(since: BootInstant(0)) : .unknown
        } else if isIdle || isTerminal {
            // For a terminal, logind reports its last use.
            use = .idle(since: since)
        } else {
            use = .active
        }
        login = Logins.Session(user: user, use: use)
    }
}

extension Agent {
    /// The reports of an installer before the module has done its part. Then the user interface may start: a health check may
    /// need it.
    static let phasesBeforeTheUserInterface: Set<String> = [
        "verification", "SupportsRollback", "NeedsArtifactReboot", "Download", "ArtifactInstall", "ArtifactReboot",
        "the reboot",
    ]
}
