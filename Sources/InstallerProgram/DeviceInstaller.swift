import Configuration
import Glibc
import Host
import Installation
import UpdateCore
import Verification

/// Connects the installer to this device. The configuration, the keys and the installed version come from the operator's
/// files, not from the request.
@MainActor struct DeviceInstaller {
    private let installer: Installer
    private let lock: DirectoryLock
    /// Seconds after which a requested reboot is requested again (`install.rebootTimeout`).
    let rebootTimeout: Seconds

    /// The program's name, with which the names of its services begin.
    private static let program = "upgradelink-installer"

    /// Waits until no other installer uses the directory.
    ///
    /// - Parameters:
    ///   - verifies: false for what needs no verification, such as a rollback: the library for it may be missing.
    ///   - report: called with each report of the installer.
    ///   - stop: made when the process is told to end.
    init(
        root: String, verifies: Bool, stop: StopRequest, report: @escaping @MainActor (InstallReport) -> Void
    ) throws {
        if verifies, let problem = CryptoLibrary.problem { throw MissingLibrary(description: problem) }
        let settings = { @MainActor () throws(ConfigurationErrors) in
            try Settings.load(root: root, environment: Environment.current)
        }
        // A configuration that this version cannot read must not prevent a rollback.
        let directory =
            (try? settings().installerDirectory)
            ?? Settings.installerDirectory(ofUnreadableConfiguration: root)
        try Self.check(directory)
        do throws(SystemError) {
            try Files.createDirectory(directory)
        } catch {
            throw MissingDirectory(description: "\(error); create it for root only, or set state.installerDirectory")
        }
        rebootTimeout = (try? settings())?.install.rebootTimeout ?? 300
        // In a sticky directory, another user may have created it in between.
        try Self.check(directory)
        // Another installer may still be running. This one waits for it and then reads its result.
        lock = try DirectoryLock(directory, waits: true)
        // No installer runs a module now: what remains is of one that was killed.
        for process in ServiceProcesses(prefix: Self.program)?.end(except: Self.program) ?? [] {
            report(.output("an installer that was killed left \(process) behind: it is ended"))
        }
        installer = try Installer(
            directory: directory, bootID: try Clock.bootID(),
            .init(
                settings: { InstallSettings(try settings()) },
                installedVersion: {
                    do throws(ConfigurationErrors) {
                        return try settings().device.version.read()
                    } catch {
                        return .unknown("\(error)")
                    }
                },
                verify: { source, job in
                    let settings = try settings()
                    return try ArtifactVerifier(settings.verification).reading(
                        source, sidecar: job.sidecar.map { Array($0.utf8) }, of: job.offer,
                        devModelKey: settings.device.devModelKey, sizeLimit: settings.download.sizeLimit,
                        keepFree: settings.download.keepFree)
                },
                report: report, stop: stop))
    }

    /// Root trusts the files in this directory: if another user could write them, that user would get the rights of root.
    private static func check(_ directory: String) throws {
        guard geteuid() == 0, let place = try Directory.distrust(onTheWayTo: directory) else { return }
        throw ConfigurationError(
            file: "the configuration", key: "state.installerDirectory",
            problem:
                "found \"\(directory)\", and \(place.reason); set it to a directory of root's own"
        )
    }

    struct MissingLibrary: Error, CustomStringConvertible { let description: String }
    struct MissingDirectory: Error, CustomStringConvertible { let description: String }

    // The directory stays locked until the result is known and stored. A client that is slow to read it does not delay others.

    /// - Parameter isRoot: whether root itself sent the request.
    func handle(
        _ message: InstallMessage, _ artifact: OpenFile?, isRoot: Bool, then done: @escaping Installer.Completion
    ) {
        installer.handle(message, artifact: artifact, isRoot: isRoot) { outcome in
            lock.release()
            done(outcome)
        }
    }

    func resumePending(then done: @escaping @MainActor (Result<InstallResult?, any Error>) -> Void) {
        installer.resumePending { outcome in
            lock.release()
            done(outcome)
        }
    }
}

extension InstallSettings {
    init(_ settings: Settings) {
        let install = settings.install
        self.init(
            module: install.module, moduleDirectories: install.directories, fileName: install.fileName,
            files: install.files,
            metaData: install.metaData, timeout: install.timeout, timeouts: install.timeouts,
            rebootCommand: install.rebootCommand, urlKey: settings.device.urlKey,
            appointVersionCode: settings.device.appointVersionCode, devModelKey: settings.device.devModelKey,
            attempts: install.attempts, sizeLimit: settings.download.sizeLimit,
            stagingDirectory: settings.download.directory,
            health: HealthCheck(
                program: install.healthProgram, units: install.healthUnits, settleTime: install.healthSettle,
                timeLimit: install.healthTimeout),
            restartUnits: install.restartUnits, needsNetwork: install.needsNetwork, inhibitLimit: install.inhibitLimit,
            rebootTimeout: install.rebootTimeout)
        if let bytes = settings.download.priority.keepCache { keepCache = bytes }
    }
}
