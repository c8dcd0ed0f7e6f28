public import Configuration
import Glibc
public import Host
import Logging
import Systemd
import UpdateCore

/// The resident process, on the main queue: every event goes through ``handle(_:)``, which decides, stores and acts.
public final class Agent {
    /// Where the agent finds what it needs.
    public struct Installation {
        /// Stands for `/` where the configuration is read.
        public var root: String
        /// The folder of `upgradelink-fetch` and `upgradelink-installer`.
        public var programs: String
        public var installer: InstallerClient.Route
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
    private(set) var settings: Settings
    private(set) var credentials: Credentials
    private(set) var devKey = ""
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
    var download: ChildProcess?
    /// What became of the running download is of interest: it was not told to stop.
    var isDownloadWanted = false
    /// Begins once the running one has stopped.
    var nextDownload: Offer?
    /// Set over the bus, in place of the configured one, until the agent restarts.
    var speedLimit: Int?
    var inhibitors: [HeldInhibitor] = []
    var nextInhibitor = 1
    private var bus: BusService?
    private var clockWatch: ClockWatch?
    /// The next poll, and whatever else is due at a moment.
    private var wakeUp: Timer?
    private var watchdogFeeding: Timer?
    private var rest: Timer?
    private var shownStatus = ""
    /// How often the configuration was read: a reload that a later one overtook has no effect.
    private var reloads = 0

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
    }

    /// Starts working; ``stop()`` ends the process.
    ///
    /// - Parameter onFailure: called if the device has no identity.
    public func start(onFailure: @escaping (StartFailure) -> Void) {
        MainQueue.onSignal([SIGTERM, SIGINT]) { [self] _ in stop() }
        identify(settings) { [self] result in
            switch result {
            case .success(let key):
                devKey = key
                begin(onFailure)
            case .failure(let error): onFailure(.configuration(error))
            }
        }
    }

    private func begin(_ onFailure: (StartFailure) -> Void) {
        settings.warnings.forEach { logger.warning("\($0)") }
        MainQueue.onSignal([SIGHUP]) { [self] _ in reload() }
        do throws(SystemError) {
            // Maintenance windows, what waits for a clock that is right, and the timer below: a moment of CLOCK_BOOTTIME comes
            // earlier after standby.
            clockWatch = try ClockWatch { [self] in beat() }
        } catch {
            return onFailure(.stateFolder("\(error)"))
        }
        wakeUp = Timer { [self] in beat() }
        rest = Timer { Memory.giveBack() }
        if let interval = ServiceManager.watchdogInterval {
            let feeding = Timer { [self] in
                ServiceManager.alive()
                watchdogFeeding?.schedule(after: interval / 2)
            }
            feeding.schedule(after: interval / 2)
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

    /// The devKey that these settings lead to.
    private func identify(
        _ settings: Settings, then done: @escaping (Result<String, ConfigurationError>) -> Void
    ) {
        do throws(ConfigurationError) {
            switch try Identity.devKey(
                settings.device, folder: settings.stateFolder, interfaces: NetworkInterfaces())
            {
            case .known(let key): done(.success(key))
            case .digest(let text):
                let fetch = FetchWorker(installation)
                fetch.digest(text) { digest in
                    done(
                        digest.map { .success($0) }
                            ?? .failure(
                                ConfigurationError(
                                    file: "the configuration", key: "device.devKeyFormat",
                                    problem: "the digest cannot be computed: \(fetch.path) does not work")))
                }
            }
        } catch {
            done(.failure(error))
        }
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
        rest?.schedule(after: Self.restlessTime)
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
        guard let next = moments.min() else { return wakeUp?.disarm() ?? () }
        wakeUp?.schedule(after: max(next - Clock.bootTime, 0.01))
    }

    // MARK: status

    func statusLine() -> String {
        if let reloadError { return "The configuration was not reloaded: \(reloadError)" }
        return storageTrouble ?? statusText(state, context(), progress: progress, phase: phase)
    }

    var hasTrouble: Bool { reloadError != nil || storageTrouble != nil }

    func announce(_ announcement: Announcement) { bus?.announce(announcement, context()) }

    func refresh() {
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
        reloads += 1
        let number = reloads
        do throws(ConfigurationError) {
            let (fresh, keys) = try Settings.loadWithCredentials(
                root: installation.root, environment: installation.environment)
            guard fresh.stateFolder == settings.stateFolder else {
                throw ConfigurationError(
                    file: "the configuration", key: "state.folder",
                    problem: "found another folder, which needs a restart: systemctl restart upgradelinkd")
            }
            identify(fresh) { [self] result in
                guard number == reloads else { return }
                switch result {
                case .success(let key): adopt(fresh, keys, devKey: key)
                case .failure(let error): keepConfiguration(error)
                }
            }
        } catch {
            keepConfiguration(error)
        }
    }

    private func adopt(_ fresh: Settings, _ keys: Credentials, devKey key: String) {
        devKey = key
        settings = fresh
        credentials = keys
        reloadError = nil
        fresh.warnings.forEach { logger.warning("\($0)") }
        logger.notice("Configuration reloaded")
        handle(.configurationChanged)
        reloaded()
    }

    private func keepConfiguration(_ error: ConfigurationError) {
        reloadError = "\(error)"
        logger.error("The configuration was not reloaded, the old one stays in force: \(error)")
        reloaded()
    }

    private func reloaded() {
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
    private func stop() -> Never {
        ServiceManager.stopping()
        logger.notice("Stopping")
        exit(0)
    }
}
