import Glibc
import Host
import Systemd
import UpdateCore

/// A connection to the agent over D-Bus. A flood of calls by other users can make the bus refuse a connection or a call, or lose
/// a reply. What only reads is therefore tried again. What changes something is sent again only if it was refused, because it is
/// unknown whether a call without a reply has been carried out.
final class AgentClient {
    static let name = "org.upgradelink.Agent1"
    static let path = "/org/upgradelink/Agent1"
    private static let properties = "org.freedesktop.DBus.Properties"
    private static let driver = "org.freedesktop.DBus"

    private var bus: Bus
    private var changeHandler: (() -> Void)?
    /// Repeated on each new connection.
    private var subscriptions: [(Bus) -> Void] = []

    private let passesDescriptors: Bool

    init(passesDescriptors: Bool = false) throws(BusError) {
        self.passesDescriptors = passesDescriptors
        bus = try Self.patiently { () throws(BusError) in try Self.connect(passesDescriptors) }
    }

    /// - Returns: a connection that the bus has accepted.
    private static func connect(_ passesDescriptors: Bool) throws(BusError) -> Bus {
        let bus = try Bus(acceptsDescriptors: passesDescriptors)
        _ = try bus.callAndWait(driver, "/org/freedesktop/DBus", driver, "GetId")
        return bus
    }

    /// Calls a method, and repeats only a call that the bus, or the agent, refused because of too many others.
    ///
    /// - Parameter timeout: seconds; the default is longer than the 120 s that the agent waits for polkit.
    @discardableResult
    func call(_ method: String, _ arguments: BusValue..., timeout: Double = 150) throws(BusError) -> [BusValue] {
        try Self.patiently(if: Self.wasRefused) { () throws(BusError) in
            try self.bus.callAndWait(Self.name, Self.path, Self.name, method, arguments, timeout: timeout)
        }
    }

    func status() throws(BusError) -> AgentStatus {
        let reply = try read(Self.properties, "GetAll", .string(Self.name))
        guard let first = reply.first, first.signature == "a{sv}" else { throw Self.unexpected("its properties") }
        return try AgentStatus(first.fields)
    }

    /// The latest entries, the latest first.
    func history() throws(BusError) -> [HistoryEntry] {
        guard let items = try read(Self.name, "History").first?.items else { throw Self.unexpected("the history") }
        var entries: [HistoryEntry] = []
        for item in items.suffix(HistoryEntry.limit).reversed() { entries.append(try HistoryEntry(item)) }
        return entries
    }

    /// The bus's name of the agent's connection: another one after a restart.
    func owner() throws(BusError) -> String {
        try Self.patiently { () throws(BusError) in
            try self.bus.callAndWait(
                Self.driver, "/org/freedesktop/DBus", Self.driver, "GetNameOwner", [.string(Self.name)])
        }.first?.text ?? ""
    }

    /// The offered version, for commands without a versionCode. Without an offer it is 0, and the agent refuses the command.
    func offeredVersion() throws(BusError) -> UInt64 { try status().offer.versionCode }

    // MARK: changes

    /// Calls the body when the agent signals a change, while ``process()`` runs.
    func onChange(_ body: @escaping () -> Void) {
        changeHandler = body
        subscribe { $0.onSignal(Self.name, Self.properties, "PropertiesChanged") { _ in body() } }
    }

    /// Calls the body when the agent signals the end of an offer or of an attempt, while ``process()`` runs.
    func onFinished(_ body: @escaping () -> Void) {
        subscribe { $0.onSignal(Self.name, Self.name, "Finished") { _ in body() } }
    }

    private func subscribe(_ subscription: @escaping (Bus) -> Void) {
        subscriptions.append(subscription)
        subscription(bus)
    }

    /// Handles the received signals. If the connection is lost, or if more signals come than can be handled, it makes another
    /// one: those that wait are dropped with the old one, so that they do not fill the memory.
    func process() throws(BusError) {
        var needsConnection = true
        do throws(BusError) {
            needsConnection = try bus.process(atMost: 100)
        } catch {}
        if needsConnection { try reconnect() }
    }

    /// Blocks until a signal arrives, or this time is over.
    func wait(seconds: Double) { bus.wait(seconds: seconds) }

    private func reconnect() throws(BusError) {
        bus = try Self.patiently { () throws(BusError) in try Self.connect(passesDescriptors) }
        subscriptions.forEach { $0(bus) }
        changeHandler?()
    }

    // MARK: patience

    /// In seconds, for all tries together.
    private static let patience: Seconds = 10
    private static let pause: Seconds = 0.25

    /// Calls a method that changes nothing, if necessary several times and on a new connection.
    private func read(_ interface: String, _ method: String, _ arguments: BusValue...) throws(BusError) -> [BusValue] {
        var isFirst = true
        return try Self.patiently { () throws(BusError) in
            if !isFirst { try self.renew() }
            isFirst = false
            return try self.bus.callAndWait(Self.name, Self.path, interface, method, arguments)
        }
    }

    private func renew() throws(BusError) {
        bus = try Self.connect(passesDescriptors)
        subscriptions.forEach { $0(bus) }
    }

    private static func patiently<Value>(
        if isTransient: (BusError) -> Bool = isTransient, _ body: () throws(BusError) -> Value
    ) throws(BusError) -> Value {
        let end = Clock.bootTime + patience
        while true {
            do throws(BusError) {
                return try body()
            } catch {
                guard isTransient(error) || isStarting(error) else { throw error }
                guard Clock.bootTime < end else {
                    throw BusError(error.name, "\(error); tried for \(describe(patience)): the bus may be overloaded")
                }
                usleep(UInt32(min(pause, 10) * 1e6))
            }
        }
    }

    /// The agent runs, but has no name on the bus yet: systemd takes it as started before. Nothing was done.
    private static func isStarting(_ error: BusError) -> Bool {
        let names = ["ServiceUnknown", "NameHasNoOwner"].map { "org.freedesktop.DBus.Error.\($0)" }
        guard names.contains(error.name), let bus = try? Bus(acceptsDescriptors: false),
            let unit = try? Unit("upgradelinkd.service", bus)
        else { return false }
        return ["active", "activating", "reloading"].contains(unit.state)
    }

    /// The bus refused the connection or the call, or the connection or the reply was lost. sd-bus reports some of these as errno
    /// values.
    private static func isTransient(_ error: BusError) -> Bool {
        let names = ["LimitsExceeded", "NoReply", "NoServer", "Disconnected"].map { "org.freedesktop.DBus.Error.\($0)" }
        let codes = ["ENOTCONN", "ECONNRESET", "EPIPE", "EAGAIN", "ESHUTDOWN"].map { "System.Error.\($0)" }
        // The queue of connections that wait for the bus is full; or signals came faster than they could be handled, and are
        // dropped with their connection.
        let reasons = [EAGAIN, ENOMEM].map { String(cString: strerror($0)) }
        return (names + codes).contains(error.name) || reasons.contains(error.description)
    }

    /// The call was refused before anything was done.
    private static func wasRefused(_ error: BusError) -> Bool {
        error.name == "org.freedesktop.DBus.Error.LimitsExceeded"
    }

    // MARK: errors

    /// The agent refuses a call in its present state.
    static func isNotNow(_ error: BusError) -> Bool { error.name == "\(name).Error.NotNow" }

    /// Whether the agent carried the call out is unknown.
    static func isWithoutReply(_ error: BusError) -> Bool { error.name == "org.freedesktop.DBus.Error.NoReply" }

    /// A reply that does not match the interface: from an agent of an unknown version, or one that has been taken over.
    static func unexpected(_ what: String) -> BusError {
        BusError(
            "org.freedesktop.DBus.Error.InconsistentMessage",
            "the agent sent a reply that upgradelinkctl does not understand (\(what)): systemctl status upgradelinkd")
    }

    static func line(_ error: BusError) -> String {
        switch error.name {
        case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
            "upgradelinkd is not running: systemctl start upgradelinkd"
        case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout":
            "upgradelinkd does not respond: systemctl status upgradelinkd"
        case "org.freedesktop.DBus.Error.FileNotFound", "org.freedesktop.DBus.Error.Failed",
            "org.freedesktop.DBus.Error.NoServer":
            "there is no system bus (\(error)): systemctl status upgradelinkd shows the state of the agent"
        default: "\(error)"
        }
    }

    static func exitStatus(_ error: BusError) -> CInt {
        switch error.name {
        case "org.freedesktop.DBus.Error.AccessDenied": EX_NOPERM
        case "org.freedesktop.DBus.Error.InvalidArgs": EX_USAGE
        case let name where name.hasPrefix(Self.name): 1
        default: 2
        }
    }
}
