import Glibc
import Host
import Logging
import Systemd
import UpdateCore

/// The agent on the system bus. Without a bus the agent runs too; it connects as soon as a bus is available.
final class BusService {
    private unowned let agent: Agent
    private var bus: Bus?
    private var watch: DescriptorWatch?
    private var timer: Timer?
    private var published: BusProperties?
    private var retryDelay = BusService.firstRetry
    private var isProcessing = false

    /// In seconds; the delay doubles after each failure.
    private static let firstRetry = 1.0
    private static let longestRetry = 600.0
    /// The number of messages that are handled before other events get their turn.
    private static let turn = 16

    init(_ agent: Agent) {
        self.agent = agent
        timer = Timer { [weak self] in self?.wake() }
    }

    // MARK: the connection

    func connect() {
        do throws(BusError) {
            let bus = try Bus()
            self.bus = bus
            bus.serve(BusInterface.path) { [weak self] call in MainActor.assumeIsolated { self?.take(call) } }
            bus.request(name: BusInterface.name) { [weak self] error in
                MainActor.assumeIsolated { self?.named(error) }
            }
            // The bus closes its descriptor itself, so it must live until no source watches the descriptor.
            let watch = DescriptorWatch(bus.descriptor, release: { withExtendedLifetime(bus) {} })
            watch.whenReadable { [weak self] in self?.process() }
            self.watch = watch
            process()
        } catch {
            lost(error)
        }
    }

    private func named(_ error: BusError?) {
        if let error {
            agent.logger.warning("Not on D-Bus as \(BusInterface.name): \(error)")
        } else {
            agent.logger.info("On D-Bus as \(BusInterface.name)")
            retryDelay = Self.firstRetry
            publish()
        }
    }

    private func lost(_ error: BusError) {
        if watch != nil { agent.logger.info("The connection to D-Bus is lost: \(error); trying again") }
        watch?.cancel()
        watch = nil
        bus = nil
        published = nil
        timer?.schedule(after: retryDelay)
        retryDelay = min(retryDelay * 2, Self.longestRetry)
    }

    private func wake() {
        if bus == nil { connect() } else { process() }
    }

    private func process() {
        guard let bus, !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        do throws(BusError) {
            let mayHaveMore = try bus.process(atMost: Self.turn)
            watchForOutput(bus.hasOutput)
            if let timeout = mayHaveMore ? 0 : bus.timeout { timer?.schedule(after: timeout) }
        } catch {
            lost(error)
        }
    }

    private func watchForOutput(_ isWanted: Bool) {
        guard let watch, watch.isWatchingForWriting != isWanted else { return }
        if isWanted { watch.whenWritable { [weak self] in self?.process() } } else { watch.whenWritable(nil) }
    }

    /// Sends queued messages after the other events that wait now.
    private func flush() { if bus != nil { timer?.schedule(after: 0) } }

    // MARK: signals

    /// Emits the properties that have changed since the last time.
    func publish() {
        guard let bus else { return }
        let now = agent.busProperties()
        let changes = now.changes(since: published)
        guard !changes.isEmpty else { return }
        published = now
        bus.emit(
            BusInterface.path, "org.freedesktop.DBus.Properties", "PropertiesChanged",
            [.string(BusInterface.name), .dictionary(changes), .array(of: "s", [])])
        flush()
    }

    func announce(_ announcement: Announcement, _ context: Context) {
        let member: String
        let values: [BusValue]
        switch announcement {
        case .consentWanted(let offer):
            member = "ConsentRequested"
            values = [.number(offer.versionCode), .string(offer.versionName), .string(offer.promptUpgradeContent)]
        case .installPending(let offer, let deadline):
            member = "InstallPending"
            values = [.number(offer.versionCode), .string(offer.versionName), .uint64(context.unixTime(deadline))]
        case .finished(let attempt):
            member = "Finished"
            values = [
                .number(attempt.versionCode), .string(attempt.versionName), .string(attempt.result.rawValue),
                .string(attempt.reason),
            ]
        }
        // A client that receives the signal and reads the properties must find the matching state.
        publish()
        bus?.emit(BusInterface.path, BusInterface.name, member, values)
        flush()
    }

    // MARK: method calls

    private func take(_ call: BusCall) {
        switch (call.interface, call.member) {
        case ("org.freedesktop.DBus.Introspectable", "Introspect"): call.reply([.string(busIntrospection)])
        case ("org.freedesktop.DBus.Properties", _): properties(call)
        case (BusInterface.name, "History"):
            call.reply([.array(of: "(tsstttss)", agent.state.history.map(\.busValue))])
        case (BusInterface.name, let member), ("", let member):
            guard let action = BusAction(member, call.arguments) else {
                call.fail(BusAction.complaint(member))
                return
            }
            authorize(call) { [weak self] error in
                if let error { call.fail(error) } else { self?.agent.carryOut(action, call) }
            }
        default:
            call.fail(.unknownMethod("there is no interface \(call.interface)"))
        }
    }

    private func properties(_ call: BusCall) {
        let properties = agent.busProperties().values
        guard let interface = call.arguments.first?.text else {
            return call.fail(.invalidArguments("the first argument must be the name of an interface (s)"))
        }
        guard interface == BusInterface.name || interface.isEmpty else {
            return call.member == "GetAll"
                ? call.reply([.dictionary([])]) : call.fail(.invalidArguments("there is no interface \(interface)"))
        }
        switch call.member {
        case "GetAll": call.reply([.dictionary(properties.map { ($0.name, $0.value) })])
        case "Get":
            guard call.arguments.count == 2, let name = call.arguments[1].text,
                let property = properties.first(where: { $0.name == name })
            else { return call.fail(.invalidArguments("there is no such property")) }
            call.reply([.variant(property.value)])
        case "Set":
            call.fail(
                BusError("org.freedesktop.DBus.Error.PropertyReadOnly", "properties are set by methods: see the XML"))
        default: call.fail(.unknownMethod("there is no method \(call.member)"))
        }
    }

    // MARK: authorization

    private static let driver = "org.freedesktop.DBus"

    private func authorize(_ call: BusCall, _ done: @escaping (BusError?) -> Void) {
        guard let bus else { return }
        bus.call(
            Self.driver, "/org/freedesktop/DBus", Self.driver, "GetConnectionCredentials", [.string(call.sender)]
        ) { [weak self] result in
            MainActor.assumeIsolated {
                let denied = BusError.accessDenied(
                    "only root, the agent's own user and the group \(BusInterface.group) may do this: add the user to that group"
                )
                guard case .success(let values) = result, let fields = values.first?.fields,
                    let uid = fields["UnixUserID"]?.number
                else { return done(denied) }
                let groups = fields["UnixGroupIDs"]?.items?.compactMap(\.number)
                if uid == 0 || uid == UInt64(geteuid())
                    || Groups.contains(uid: uid, groups: groups, name: BusInterface.group)
                {
                    return done(nil)
                }
                self?.askPolkit(call) { done($0 ? nil : denied) }
            }
        }
    }

    /// Whether polkit allows the call; false if polkit is not available.
    private func askPolkit(_ call: BusCall, _ done: @escaping (Bool) -> Void) {
        guard let bus else { return }
        let subject = BusValue.structure([
            .string("system-bus-name"), .dictionary([("name", .string(call.sender))]),
        ])
        bus.call(
            "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
            "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization",
            [
                subject, .string(BusInterface.polkitAction), .array(of: "{ss}", []),
                .uint32(call.allowsInteraction ? 1 : 0), .string(""),
            ], timeout: 120
        ) { result in
            MainActor.assumeIsolated {
                guard case .success(let values) = result, let flags = values.first?.items else { return done(false) }
                done(flags.first?.flag == true)
            }
        }
    }
}
