public import Configuration
import Glibc
public import Host
import Logging
import Systemd
import UpdateCore

/// The resident process: one thread, on which every event goes through ``handle(_:)``: decide, store, act.
public final class Agent {
    /// Where the agent finds what it needs.
    public struct Installation {
        /// Stands for `/` where the configuration is read.
        public var root: String
        /// The folder of `upgradelink-fetch` and `upgradelink-installer`.
        public var programs: String
        public var installer: InstallerDoor.Way
        public var environment: [String: String]

        /// - Parameter installerSocket: where the service manager starts the installer; without one the agent does.
        public init(root: String, programs: String, installerSocket: String? = nil, environment: [String: String]) {
            self.root = root
            self.programs = programs
            installer =
                installerSocket.map { .socket($0) }
                ?? .program("\(programs)/upgradelink-installer", arguments: ["--root", root])
            self.environment = environment
        }
    }

    public enum StartFailure: Error, CustomStringConvertible {
        case configuration(ConfigurationError)
        case stateFolder(String)

        public var description: String {
            switch self {
            case .configuration(let error): "\(error)"
            case .stateFolder(let line): line
            }
        }

        /// sysexits(3): 78 is a configuration error, which the unit does not restart on; 73 a folder that cannot be used.
        public var exitStatus: CInt {
            switch self {
            case .configuration: 78
            case .stateFolder: 73
            }
        }
    }

    let installation: Installation
    let loop: EventLoop
    private(set) var settings: Settings
    private(set) var credentials: Credentials
    private(set) var devKey: String
    private let bootID: String
    private let lock: FolderLock
    var store: Store
    private(set) var state: AgentState
    let logger = Logger(label: "upgradelinkd")

    /// Events that came and could not be stored yet, the oldest first.
    private var waiting: [Event] = []
    private var isHandling = false
    private var storageTrouble: String?
    private var reloadError: String?

    var progress: DownloadProgress?
    var phase: String?
    var download: RunningWorker?
    /// What became of the running download is of interest: it was not told to stop.
    var isDownloadWanted = false
    /// Begins once the running one has stopped.
    var nextDownload: Offer?
    /// Set over the bus, in place of the configured one, until the agent restarts.
    var speedLimit: Int?
    var inhibitors: [HeldInhibitor] = []
    var nextInhibitor = 1
    private var bus: BusService?
    private let clockWatch: ClockWatch
    private let signals: Signals
    private var wakeUp: EventLoop.Timer?
    private var watchdogFeeding: EventLoop.Timer?
    private var rest: EventLoop.Timer?
    private var shownStatus = ""
    private var isStopping = false

    /// Reads the configuration and the state; nothing happens yet.
    public init(_ installation: Installation) throws(StartFailure) {
        do throws(ConfigurationError) {
            (settings, credentials) = try Settings.loadWithCredentials(
                root: installation.root, environment: installation.environment)
        } catch {
            throw .configuration(error)
        }
        let folder = settings.stateFolder
        do throws(SystemError) {
            try Files.createFolder(folder)
            lock = try FolderLock(folder)
            loop = try EventLoop()
            clockWatch = try ClockWatch()
            signals = try Signals([SIGHUP, SIGTERM, SIGINT])
            bootID = try Clock.bootID()
            store = Store(folder: folder)
            let damage: String?
            (state, damage) = try store.load()
            if let damage { logger.error("\(damage)") }
        } catch {
            throw .stateFolder(
                error.code == EWOULDBLOCK
                    ? "\(folder) is in use by another upgradelinkd: stop that one, or set state.folder"
                    : "\(error); make the folder writable for this user, or set state.folder")
        }
        self.installation = installation
        do throws(ConfigurationError) {
            devKey = try Self.identify(settings, installation)
        } catch {
            throw .configuration(error)
        }
    }

    private static func identify(
        _ settings: Settings, _ installation: Installation
    ) throws(ConfigurationError) -> String {
        let fetch = FetchWorker(installation)
        return try Identity.devKey(settings.device, folder: settings.stateFolder, interfaces: NetworkInterfaces()) {
            text throws(ConfigurationError) in
            guard let digest = fetch.digest(text) else {
                throw ConfigurationError(
                    file: "the configuration", key: "device.devKeyFormat",
                    problem: "the digest cannot be computed: \(fetch.path) does not work")
            }
            return digest
        }
    }

    /// Works until it is told to stop.
    public func run() {
        start()
        loop.run(while: { !isStopping })
    }

    private func start() {
        settings.warnings.forEach { logger.warning("\($0)") }
        _ = loop.watch(signals.descriptor) { [self] in
            switch signals.next() {
            case SIGHUP: reload()
            case SIGTERM, SIGINT: stop()
            default: break
            }
        }
        _ = loop.watch(clockWatch.descriptor) { [self] in
            clockWatch.acknowledge()
            // Windows, and what waits for a clock that is right, go by it.
            beat()
        }
        wakeUp = loop.timer { [self] in beat() }
        rest = loop.timer { Memory.giveBack() }
        if let interval = ServiceManager.watchdogInterval {
            let feeding = loop.timer { [self] in
                ServiceManager.alive()
                watchdogFeeding?.fire(after: interval / 2)
            }
            feeding.fire(after: interval / 2)
            watchdogFeeding = feeding
        }
        shownStatus = statusLine()
        ServiceManager.ready(status: shownStatus)
        handle(.started(found: store.inbox.read()))
        logger.info("\(shownStatus)")
        let bus = BusService(self)
        self.bus = bus
        bus.connect()
    }

    // MARK: events

    /// Every event takes this way, one at a time.
    func handle(_ event: Event) {
        waiting.append(event)
        guard !isHandling else { return }
        isHandling = true
        defer { isHandling = false }
        while let event = waiting.first {
            let (next, effects) = reduce(state, event, context())
            do {
                try store.save(next)
            } catch {
                // What cannot be stored has not happened: the event waits until it can be.
                if storageTrouble == nil { logger.error("The state cannot be stored: \(error)") }
                storageTrouble = "Cannot store the state: \(error)"
                break
            }
            if storageTrouble != nil {
                logger.notice("The state can be stored again")
                storageTrouble = nil
            }
            waiting.removeFirst()
            state = next
            effects.forEach(perform)
        }
        refresh()
        rest?.fire(after: Self.restlessTime)
    }

    func context() -> Context {
        let wallClock = Clock.wallTime
        let policy = settings.policy(devKey: devKey)
        // Only windows need to know when clocks are changed.
        let zone =
            policy.windows.isEmpty ? LocalTime.offset(now: wallClock) : LocalTime.offsets(around: wallClock)
        return Context(
            now: Clock.bootTime, bootID: bootID, wallClock: wallClock, buildTime: Clock.buildTime,
            installed: settings.device.version.read(), policy: policy, zone: zone,
            inhibitors: inhibitors.map(\.inhibitor), seed: UInt64.random(in: .min ... .max))
    }

    // MARK: time

    private static let storageRetry: Seconds = 10
    /// After the last event, before memory is given back.
    private static let restlessTime: Seconds = 2

    private func beat() {
        if waiting.isEmpty { handle(.tick) } else { retryWaiting() }
    }

    private func retryWaiting() {
        let event = waiting.removeFirst()
        let rest = waiting
        waiting = []
        handle(event)
        rest.forEach { handle($0) }
    }

    /// Without a moment to wait for there is only what others bring.
    private func armTimer() {
        var moments: [BootInstant] = []
        if let wake = nextWakeUp(state, context()) { moments.append(wake) }
        if storageTrouble != nil { moments.append(Clock.bootTime + Self.storageRetry) }
        // What makes no progress must not spin.
        wakeUp?.moment = moments.min().map { max($0, Clock.bootTime + 0.01) }
    }

    // MARK: status

    func statusLine() -> String {
        if let reloadError { return "The configuration was not reloaded: \(reloadError)" }
        return storageTrouble ?? statusText(state, context(), progress: progress, phase: phase)
    }

    var hasTrouble: Bool { reloadError != nil || storageTrouble != nil }

    func announce(_ announcement: Announcement) { bus?.announce(announcement, context()) }

    func refresh() {
        guard !isStopping else { return }
        armTimer()
        bus?.publish()
        let line = statusLine()
        guard line != shownStatus else { return }
        shownStatus = line
        ServiceManager.status(line)
    }

    // MARK: the operator

    private func reload() {
        ServiceManager.reloading()
        do throws(ConfigurationError) {
            let (fresh, keys) = try Settings.loadWithCredentials(
                root: installation.root, environment: installation.environment)
            guard fresh.stateFolder == settings.stateFolder else {
                throw ConfigurationError(
                    file: "the configuration", key: "state.folder",
                    problem: "found another folder, which needs a restart: systemctl restart upgradelinkd")
            }
            devKey = try Self.identify(fresh, installation)
            settings = fresh
            credentials = keys
            reloadError = nil
            fresh.warnings.forEach { logger.warning("\($0)") }
            logger.notice("Configuration reloaded")
            handle(.configurationChanged)
        } catch {
            reloadError = "\(error)"
            logger.error("The configuration was not reloaded, the old one stays in force: \(error)")
        }
        shownStatus = statusLine()
        ServiceManager.ready(status: shownStatus)
    }

    /// Takes over what an update changed in the configuration, as far as it makes sense; the operator did not ask, so
    /// nobody is told.
    func reloadQuietly() {
        guard let fresh = try? Settings.load(root: installation.root, environment: installation.environment),
            fresh.stateFolder == settings.stateFolder, fresh.device.devKey == settings.device.devKey
        else { return }
        settings = fresh
    }

    /// A download worker keeps what it has and ends when its input closes with this process; an installer goes on
    /// to its end, and the next start asks it for the result.
    private func stop() {
        isStopping = true
        ServiceManager.stopping()
        logger.notice("Stopping")
    }
}
