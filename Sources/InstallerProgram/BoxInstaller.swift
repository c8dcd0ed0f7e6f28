import Configuration
import Glibc
import Host
import Installation
import UpdateCore
import Verification

/// Wires the installer to this box: its configuration, its keys and its version come from the operator's files, not from
/// the request.
@MainActor struct BoxInstaller {
    private let installer: Installer
    private let lock: FolderLock

    /// - Parameter report: hears how it goes.
    init(root: String, report: @escaping @MainActor (InstallReport) -> Void) throws {
        if let problem = CryptoLibrary.problem { throw MissingLibrary(description: problem) }
        let settings = { @MainActor () throws(ConfigurationError) in
            try Settings.load(root: root, environment: Environment.current)
        }
        let folder = try settings().installerFolder
        // What is found there is believed: a root that shares it with the agent would give its rights away.
        if geteuid() == 0, let place = Files.firstUnsafeFolder(onTheWayTo: folder) {
            throw ConfigurationError(
                file: "the configuration", key: "state.installerFolder",
                problem:
                    "found \"\(folder)\", and others than root can write to \(place); set it to a folder of root's own")
        }
        try Files.createFolder(folder)
        // Another installer may still be at work: its result is this one's too.
        lock = try FolderLock(folder, waits: true)
        installer = try Installer(
            folder: folder, bootID: try Clock.bootID(),
            .init(
                settings: { InstallSettings(try settings()) },
                installedVersion: {
                    do throws(ConfigurationError) {
                        return try settings().device.version.read()
                    } catch {
                        return .unknown("\(error)")
                    }
                },
                verify: { file, job, destination in
                    let settings = try settings()
                    return try ArtifactVerifier(settings.verification).copy(
                        file, sidecar: job.sidecar.map { Array($0.utf8) }, of: job.offer,
                        devModelKey: settings.device.devModelKey, sizeLimit: settings.download.sizeLimit,
                        to: destination)
                },
                report: report))
    }

    struct MissingLibrary: Error, CustomStringConvertible { let description: String }

    func handle(_ message: InstallMessage, _ artifact: OpenFile?, then done: @escaping Installer.Completion) {
        installer.handle(message, artifact: artifact) { outcome in
            // Held until then.
            withExtendedLifetime(lock) { done(outcome) }
        }
    }

    func resumePending(then done: @escaping @MainActor (Result<InstallResult?, any Error>) -> Void) {
        installer.resumePending { outcome in withExtendedLifetime(lock) { done(outcome) } }
    }
}

extension InstallSettings {
    init(_ settings: Settings) {
        let install = settings.install
        self.init(
            module: install.module, moduleFolders: install.folders, fileName: install.fileName, files: install.files,
            metaData: install.metaData, timeout: install.timeout, timeouts: install.timeouts,
            rebootCommand: install.rebootCommand, urlKey: settings.device.urlKey,
            appointVersionCode: settings.device.appointVersionCode, devModelKey: settings.device.devModelKey,
            attempts: install.attempts, sizeLimit: settings.download.sizeLimit,
            health: HealthCheck(
                program: install.healthProgram, units: install.healthUnits, timeLimit: install.healthTimeout),
            needsNetwork: install.needsNetwork)
    }
}
