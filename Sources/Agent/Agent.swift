public import Configuration
import DeviceChecks
import Glibc
public import Host
import Logging
import Systemd
import UpdateCore

/// The resident process. It runs on the main queue; ``handle(_:)`` takes every event, decides, stores the state and acts.
public final class Agent {
    /// The directories, programs and variables that the agent uses.
    public struct Installation {
        /// The directory that replaces `/` when the configuration is read.
        public var root: String
        /// The directory of `upgradelink-fetch` and `upgradelink-installer`.
        public var programs: String
        public var installer: InstallerClient.Route
        public var environment: [String: String]
        /// The directory with the names of processes, as `/proc` in which all of them are visible.
        public var processes: String

        /// - Parameter installerSocket: the path of the socket on which the service manager starts the installer; nil: the agent
        ///   starts it.
        public init(
            root: String, programs: String, installerSocket: String? = nil, environment: [String: String],
            processes: String = "/proc"
        ) {
            self.processes = processes
            self.root = root
            self.programs = programs
            installer =
                installerSocket.map { .socket($0) }
                ?? .program("\(programs)/upgradelink-installer", arguments: ["--root", root])
            self.environment = environment
        }
    }

    public enum StartFailure: Error, CustomStringConvertible {
        case configuration(ConfigurationErrors)
        /// The state directory, or another resource of the system, cannot be used; the text is for the operator.
        case stateDirectory(String)

        public var description: String {
            switch self {
            case .configuration(let errors): "\(errors)"
            case .stateDirectory(let line): line
            }
        }

        /// From sysexits(3): 78 for a configuration error, after which systemd does not restart the unit, else 73.
        public var exitStatus: CInt {
            switch self {
            case .configuration: 78
            case .stateDirectory: 73
            }
        }
    }

    let installation: Installation
    private(set) var settings: Settings
    private(set) var credentials: Credentials
    private(set) var devKey = ""
    private let bootID: String
    private var stateDirectory: StateDirectory
    var store: Store
    private(set) var state: AgentState
    let logger = Logger(label: "upgradelinkd")

    /// Events that are not handled yet, the oldest first: they came while another event was handled, or the state could not be
    /// stored.
    private var waiting: [Event] = []
    private var isHandling = false
    private var storageFailure: StorageFailure?
    private var reloadError: String?

    var metricsFile: MetricsFile?
    var metricSources = MetricSources(started: Clock.bootTime)

    var progress: DownloadProgress?
    var phase: String?
    var download: ChildProcess?
    /// Whether the result of the running download is used; false after the agent has stopped the download.
    var isDownloadWanted = false
    /// Starts after the running download has ended.
    var nextDownload: Offer?
    /// The installer is asked what disk space the next download's installation will need.
    var isPlanning = false
    /// What it said last.
    var plannedNeeds: [SpaceNeed] = []
    /// In bytes per second, 0 for no limit. Set over the bus; replaces the configured limit until the agent restarts.
    var speedLimit: ByteCount?
    /// The directory of downloads, once this process has seen that it can write there.
    var downloadDirectory: String?
    var inhibitors: [ActiveInhibitor] = []
    var nextInhibitor = 1
    /// Who uses the device, as it was observed last.
    var activity: Activity?
    /// When the agent itself last noticed a user.
    var lastUse = Clock.bootTime
    private var loginQuery: LoginQuery?
    private let bootBegan: BootInstant
    /// The module has done its part of an installation right after the boot.
    var hasInstalledAtBoot = false
    /// Whether a worker copies and verifies a file of a caller.
    var isAdopting = false
    private var bus: BusService?
    private var clockWatch: ClockWatch?
    /// For the next poll, and for everything else that is due at a known moment.
    private var wakeUp: Timer?
    private var watchdogFeeding: Timer?
    private var rest: Timer?
    private var shownStatus = ""
    /// The number of reloads. A reload has no effect if a later one begins before it is complete.
    private var reloads = 0

    /// Reads the configuration and the state, and locks the state directory. ``start(onFailure:)`` starts the work.
    public init(_ installation: Installation) throws(StartFailure) {
        do throws(ConfigurationErrors) {
            (settings, credentials) = try Settings.loadWithCredentials(
                root: installation.root, environment: installation.environment)
        } catch {
            throw .configuration(error)
        }
        let directory = settings.stateDirectory
        do throws(SystemError) {
            stateDirectory = try StateDirectory(directory, rescue: installation.environment)
            bootID = try Clock.bootID()
            store = Store(directory: directory)
            let damage: String?
            (state, damage) = try store.load()
            if let damage { logger.error("\(damage)") }
        } catch {
            throw .stateDirectory(
                error.code == EWOULDBLOCK
                    ? "\(directory) is in use by another upgradelinkd: stop that one, or set state.directory"
                    : "\(error); make the directory writable for this user, or set state.directory")
        }
        self.installation = installation
        bootBegan = Clock.bootBegan(processes: installation.processes)
    }

    /// Starts the work. SIGTERM and SIGINT end the process.
    ///
    /// - Parameter onFailure: called if the device has no identity, or the clock cannot be watched.
    public func start(onFailure: @escaping (StartFailure) -> Void) {
        MainQueue.onSignal([SIGTERM, SIGINT]) { [self] _ in stop() }
        // Before the agent is ready, the configuration has just been read.
        MainQueue.onSignal([SIGHUP]) { [self] _ in if wakeUp != nil { reload() } }
        // The queue registers its signals first: one that follows READY=1 is not lost.
        MainQueue.soon { [self] in
            identify(settings) { [self] result in
                switch result {
                case .success(let key):
                    devKey = key
                    begin(onFailure)
                case .failure(let error): onFailure(.configuration(ConfigurationErrors(error)))
                }
            }
        }
    }

    private func begin(_ onFailure: (StartFailure) -> Void) {
        // The agent starts all the same, and says in its status what it waits for.
        logProblems()
        stateDirectory.noteIdentity()
        if Files.isWritable(settings.download.directory) { downloadDirectory = settings.download.directory }
        do throws(SystemError) {
            // A change of the clock affects maintenance windows, and steps that wait for a correct clock. After standby, the
            // timer below must be scheduled again, because it did not count that time.
            clockWatch = try ClockWatch { [self] in
                // A user who ends the standby uses the device.
                lastUse = Clock.bootTime
                beat()
            }
        } catch {
            return onFailure(.stateDirectory("\(error)"))
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
        if let damage = store.inbox.setAsideUnreadable() { logger.error("\(damage)") }
        replaceMetricsFile()
        shownStatus = statusLine()
        ServiceManager.ready(status: shownStatus)
        let bus = BusService(self)
        self.bus = bus
        handle(.started(found: store.inbox.read()))
        logger.info("\(shownStatus)")
        bus.connect()
    }

    /// Logs what is wrong with the configuration, or around it.
    private func logProblems() {
        let storage = MountTable.current.warnings(about: settings.stateDirectory, settings.installerDirectory)
        let needs = AgentNeeds(settings, root: installation.root).findings().filter { $0.result == .bad }
        (settings.warnings + storage + needs.map(\.line)).forEach { logger.warning("\($0)") }
    }

    /// Determines the devKey for these settings.
    private func identify(
        _ settings: Settings, then done: @escaping (Result<String, ConfigurationError>) -> Void
    ) {
        do throws(ConfigurationError) {
            switch try Identity.devKey(
                settings.device, directory: settings.stateDirectory, interfaces: NetworkInterfaces())
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

    /// Handles every event, one at a time: decides, stores the new state, then carries out the effects.
    func handle(_ event: Event) {
        waiting.append(event)
        handleWaiting()
    }

    private func handleWaiting() {
        guard !isHandling else { return }
        isHandling = true
        defer { isHandling = false }
        while let event = waiting.first {
            let (next, effects) = reduce(state, event, context())
            do {
                try save(next)
            } catch {
                // An event whose state cannot be stored has not happened: it waits, and is handled again later.
                if storageFailure == nil { logger.error("The state cannot be stored: \(error)") }
                storageFailure = StorageFailure(error, now: Clock.bootTime)
                endIfDirectoryIsLost("\(error)")
                break
            }
            if storageFailure != nil {
                logger.notice("The state can be stored again")
                storageFailure = nil
            }
            waiting.removeFirst()
            state = next
            metricSources.counters.count(event, effects)
            effects.forEach(perform)
        }
        refresh()
        rest?.schedule(after: Self.restlessTime)
    }

    /// Stores the state, in a new directory if the agent's own was removed.
    private func save(_ next: AgentState) throws {
        if try stateDirectory.restore() {
            logger.warning("\(stateDirectory.path) was removed or emptied; what it must contain is stored again")
            store.forget()
            _ = MetricsRecord(directory: stateDirectory.path).replace(with: settings.metricsFile)
        }
        try store.save(next)
    }

    /// Only the service manager can create its directory again: the agent ends, and keeps its state for the next process.
    private func endIfDirectoryIsLost(_ reason: String) {
        guard !stateDirectory.isInPlace, installation.creates(stateDirectory.path, as: "STATE_DIRECTORY") else {
            return
        }
        let last = waiting.reduce(state) { reduce($0, $1, context()).state }
        let place = stateDirectory.rescue(last)
        end(
            "\(stateDirectory.path) was removed (\(reason)): ending, so that the service manager creates it; "
                + (place.map { "the state is kept in \($0)" } ?? "the state is lost"))
    }

    func context() -> Context {
        let wallClock = Clock.wallTime
        let policy = settings.policy(devKey: devKey)
        // Only maintenance windows need future changes of the UTC offset.
        let zone =
            policy.windows.isEmpty ? LocalTime.offset(now: wallClock) : LocalTime.offsets(around: wallClock)
        return Context(
            now: Clock.bootTime, bootID: bootID, wallClock: wallClock, buildTime: Clock.buildTime,
            installed: settings.device.version.read(), policy: policy, zone: zone,
            inhibitors: inhibitors.map(\.inhibitor), seed: UInt64.random(in: .min ... .max),
            bootBegan: bootBegan, activity: activity)
    }

    // MARK: time

    /// The time between the last event and the release of unused memory.
    private static let restlessTime: Seconds = 2

    private func beat() {
        guard needsActivity(state, context()) else { return tick() }
        guard loginQuery == nil else { return }
        loginQuery = LoginQuery { [self] logins in
            loginQuery = nil
            activity = Activity(observed: Clock.bootTime, logins, lastUse: lastUse)
            tick()
        }
    }

    private func tick() {
        if waiting.isEmpty { handle(.tick) } else { handleWaiting() }
    }

    /// Schedules the next moment at which something is due. If there is none, the agent waits for other events only.
    private func armTimer() {
        let delay = WakeUp.delay(until: nextWakeUp(state, context()), storageFailure, now: Clock.bootTime)
        if let delay { wakeUp?.schedule(after: delay) } else { wakeUp?.disarm() }
    }

    // MARK: status

    func statusLine() -> String {
        ownError?.text ?? statusText(state, context(), progress: progress, phase: phase)
    }

    /// An error of the agent itself; the state cannot contain it.
    var ownError: Reason? {
        if let reloadError {
            return Reason("The configuration was not reloaded: \(reloadError)", .configurationInvalid)
        }
        return storageFailure.map { Reason($0.text, .stateNotStored) }
    }

    func announce(_ announcement: Announcement) { bus?.announce(announcement, context()) }

    func refresh() {
        armTimer()
        bus?.publish()
        updateMetrics()
        let line = statusLine()
        guard line != shownStatus else { return }
        shownStatus = line
        ServiceManager.status(line)
    }

    // MARK: the operator

    private func reload() {
        ServiceManager.reloading()
        // Before the configuration is read: the result tells each requester about a configuration that is not older.
        let reply = ReloadReply(installation.environment)
        reloads += 1
        let number = reloads
        do throws(ConfigurationErrors) {
            let (fresh, keys) = try Settings.loadWithCredentials(
                root: installation.root, environment: installation.environment)
            guard fresh.stateDirectory == settings.stateDirectory else {
                throw ConfigurationErrors(
                    ConfigurationError(
                        file: "the configuration", key: "state.directory",
                        problem: "found another directory, which needs a restart: systemctl restart upgradelinkd"))
            }
            identify(fresh) { [self] result in
                guard number == reloads else { return }
                switch result {
                case .success(let key): adopt(fresh, keys, devKey: key, reply)
                case .failure(let error): keepConfiguration(ConfigurationErrors(error), reply)
                }
            }
        } catch {
            keepConfiguration(error, reply)
        }
    }

    private func adopt(_ fresh: Settings, _ keys: Credentials, devKey key: String, _ reply: ReloadReply?) {
        devKey = key
        settings = fresh
        credentials = keys
        reloadError = nil
        logProblems()
        logger.notice("Configuration reloaded")
        metricsFile?.begin()
        handle(.configurationChanged)
        reloaded(reply)
    }

    private func keepConfiguration(_ failure: ConfigurationErrors, _ reply: ReloadReply?) {
        reloadError = "\(failure)"
        for error in failure.errors {
            logger.error("The configuration was not reloaded, the old one stays effective: \(error)")
        }
        reloaded(reply)
    }

    private func reloaded(_ reply: ReloadReply?) {
        shownStatus = statusLine()
        ServiceManager.ready(status: shownStatus)
        refresh()
        reply?.send(reloadError)
    }

    /// Applies a configuration that an update may have changed. The operator did not request this, so a configuration that is
    /// invalid, or needs a restart, is ignored without a message.
    func reloadQuietly() {
        guard let fresh = try? Settings.load(root: installation.root, environment: installation.environment),
            fresh.stateDirectory == settings.stateDirectory, fresh.device.devKey == settings.device.devKey
        else { return }
        settings = fresh
    }

    /// Ends the process with the status after which the service manager starts the agent again.
    func end(_ reason: String) -> Never {
        logger.critical("\(reason)")
        ServiceManager.status(reason)
        exit(StartFailure.stateDirectory(reason).exitStatus)
    }

    /// A download worker keeps its partial file and ends, because its input closes with this process. An installer continues
    /// to its end; the next agent requests its result.
    private func stop() -> Never {
        ServiceManager.stopping()
        logger.notice("Stopping")
        exit(0)
    }
}
