import Host
import Logging
import Systemd
import UpdateCore

/// The agent on the system bus. Without a bus the agent runs too; it connects as soon as a bus is available.
final class BusService {
    private unowned let agent: Agent
    private var connection: BusConnection?
    private var callers: CallerCheck?
    private var retry: Timer?
    private var summary: Timer?
    private var refused = RefusedCalls()
    private var published: BusProperties?
    private var retryDelay = BusService.firstRetry
    /// What was announced while the agent had no name on the bus, the latest of each kind. Clients get it as soon as it has one.
    private var unsent: [Announcement] = []
    private var hasName = false
    /// Whether the bus still knows a connection that this object has closed.
    private var mustReplace = false

    /// In seconds; the delay doubles after each failure.
    private static let firstRetry = 1.0
    private static let longestRetry = 600.0

    init(_ agent: Agent) {
        self.agent = agent
        retry = Timer { [weak self] in self?.connect() }
        summary = Timer { [weak self] in self?.logSummary() }
    }

    // MARK: the connection

    func connect() {
        do throws(BusError) {
            let connection = try BusConnection(
                acceptsDescriptors: true, mayTakeCalls: { [weak self] in self?.callers?.mayTakeCalls ?? true },
                onLoss: { [weak self] error in self?.lost(error) })
            self.connection = connection
            callers = try CallerCheck(processes: agent.installation.processes) { [weak self] error in self?.lost(error)
            }
            connection.bus.serve(BusInterface.path) { [weak self] call in MainActor.assumeIsolated { self?.take(call) }
            }
            let loss = BusError("", "another process took the name \(BusInterface.name)")
            connection.bus.request(
                name: BusInterface.name, replaces: mustReplace,
                onLoss: { [weak self] in MainActor.assumeIsolated { self?.lost(loss) } },
                done: { [weak self] error in MainActor.assumeIsolated { self?.named(error) } })
            connection.process()
        } catch {
            lost(error)
        }
    }

    private func named(_ error: BusError?) {
        if let error {
            agent.logger.warning("Not on D-Bus as \(BusInterface.name): \(error); trying again")
            lost(error)
        } else {
            agent.logger.info("On D-Bus as \(BusInterface.name)")
            retryDelay = Self.firstRetry
            mustReplace = false
            hasName = true
            publish()
            let waiting = unsent
            unsent = []
            waiting.filter { $0.isCurrent(agent.state) }.forEach { announce($0, agent.context()) }
        }
    }

    private func lost(_ error: BusError) {
        if published != nil { agent.logger.info("The connection to D-Bus is lost: \(error); trying again") }
        hasName = false
        (published, retryDelay) = (nil, min(retryDelay * 2, Self.longestRetry))
        let (connection, callers) = (connection, callers)
        mustReplace = connection?.hasStalled ?? mustReplace
        (self.connection, self.callers) = (nil, nil)
        // The calls that wait are refused while their connection still exists.
        callers?.close()
        connection?.close()
        retry?.schedule(after: retryDelay / 2)
    }

    // MARK: signals

    /// Emits the properties that have changed since the last time.
    func publish() {
        guard let connection else { return }
        let now = agent.busProperties()
        let changes = now.changes(since: published)
        guard !changes.isEmpty else { return }
        published = now
        connection.bus.emit(
            BusInterface.path, "org.freedesktop.DBus.Properties", "PropertiesChanged",
            [.string(BusInterface.name), .dictionary(changes), .array(of: "s", [])])
        connection.flush()
    }

    func announce(_ announcement: Announcement, _ context: Context) {
        guard hasName else {
            unsent.removeAll { $0.isOfTheKind(of: announcement) }
            return unsent.append(announcement)
        }
        let signal: BusSignal
        let values: [BusValue]
        switch announcement {
        case .consentWanted(let offer):
            signal = .consentRequested
            values = [.number(offer.versionCode), .string(offer.versionName), .string(offer.promptUpgradeContent)]
        case .installPending(let offer, let deadline):
            signal = .installPending
            values = [.number(offer.versionCode), .string(offer.versionName), .uint64(context.unixTime(deadline))]
        case .finished(let attempt):
            signal = .finished
            values = [
                .number(attempt.versionCode), .string(attempt.versionName), .string(attempt.result.rawValue),
                .string(attempt.reason), .string(attempt.reasonCode?.rawValue ?? ""),
            ]
        }
        // A client that receives the signal and reads the properties must find the matching state.
        publish()
        connection?.bus.emit(BusInterface.path, BusInterface.name, signal.rawValue, values)
        connection?.flush()
    }

    // MARK: method calls

    /// Nothing of a call is read before its method and the types of its arguments are known.
    private func take(_ call: BusCall) {
        guard let method = BusMethod(interface: call.interface, member: call.member) else {
            let name = call.member.sanitized(limit: 64)
            return refuse(call, .unknownMethod, "there is no method \(name) in this interface")
        }
        guard call.signature == method.signature else { return refuse(call, .invalidArguments, method.usage) }
        // Its variant is never read.
        if method == .set { return refuse(call, .readOnly, Self.readOnly) }
        guard let arguments = call.arguments() else {
            return refuse(
                call, .invalidArguments, "a text has more than \(BusCall.maximumTextBytes) bytes in \(method.member)")
        }
        switch method {
        case .introspect: call.reply([.string(BusIntrospection.reply)])
        case .get, .getAll: properties(call, method, arguments)
        case .history: call.reply([.array(of: "a{sv}", agent.state.history.map(\.busValue))])
        default:
            guard let action = BusAction(method, arguments) else {
                return refuse(call, .invalidArguments, method.usage)
            }
            authorize(call) { [weak self] caller in self?.agent.carryOut(action, call, caller) }
        }
    }

    private func properties(_ call: BusCall, _ method: BusMethod, _ arguments: [BusValue]) {
        let interface = arguments.first?.text ?? ""
        guard interface == BusInterface.name || interface.isEmpty else {
            return method == .getAll
                ? call.reply([.dictionary([])]) : refuse(call, .invalidArguments, "there is no such interface")
        }
        let properties = agent.busProperties()
        if method == .getAll { return call.reply([.dictionary(properties.fields)]) }
        guard let property = properties.values.first(where: { $0.property.rawValue == arguments.last?.text }) else {
            return refuse(call, .invalidArguments, "there is no such property")
        }
        call.reply([.variant(property.value)])
    }

    private func authorize(_ call: BusCall, then act: @escaping (Caller) -> Void) {
        callers?.check(call) { [weak self] decision in
            switch decision {
            case .allowed(let caller): act(caller)
            case .denied(let caller): self?.refuse(call, .accessDenied, Self.notAllowed, caller)
            case .busy(let caller, let reason): self?.refuse(call, .limitsExceeded, "\(reason); try again", caller)
            }
        }
    }

    // MARK: refused calls

    private static let notAllowed =
        "only root, the agent's own user and the group \(BusInterface.group) may do this: add the user to that group"
    private static let readOnly = "properties are set by methods: see org.upgradelink.Agent1(5)"

    private func refuse(_ call: BusCall, _ name: BusErrorName, _ line: String, _ caller: Caller? = nil) {
        call.refuse(name, line)
        guard refused.isLogged() else { return }
        let who = caller?.description ?? "the connection \(call.sender)"
        agent.logger.info("Refused \(call.member.sanitized(limit: 64)) by \(who): \(line)")
        summary?.schedule(after: RefusedCalls.interval)
    }

    private func logSummary() {
        guard let line = refused.summary() else { return }
        agent.logger.notice("\(line)")
        summary?.schedule(after: RefusedCalls.interval)
    }
}

extension Announcement {
    fileprivate func isOfTheKind(of other: Announcement) -> Bool {
        switch (self, other) {
        case (.consentWanted, .consentWanted), (.installPending, .installPending), (.finished, .finished): true
        default: false
        }
    }

    /// Whether it still applies.
    fileprivate func isCurrent(_ state: AgentState) -> Bool {
        switch self {
        case .consentWanted(let offer):
            state.work?.step == .consent && state.work?.offer.versionCode == offer.versionCode
        case .installPending(_, let deadline): state.work?.deadline == deadline
        case .finished: true
        }
    }
}
