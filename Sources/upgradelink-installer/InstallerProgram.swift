import Configuration
import Host
import Installation
import UpdateCore
import Verification

/// Wires the installer to this box: its configuration, its keys and its version come from the operator's files, not from
/// the request.
struct InstallerProgram {
    private let root: String
    private let folder: String
    private let lock: FolderLock

    init(root: String) throws {
        self.root = root
        folder = "\(try Self.settings(root).stateFolder)/installer"
        try Files.createFolder(folder)
        // Another installer may still be at work for an agent that is gone: its result is this one's too.
        lock = try FolderLock(folder, waits: true)
    }

    private static func settings(_ root: String) throws(ConfigurationError) -> Settings {
        try Settings.load(root: root, environment: Environment.current)
    }

    func run(_ request: InstallRequest) async throws -> InstallResult {
        let root = root
        let installer = try Installer(
            folder: folder, bootID: try Clock.bootID(),
            .init(
                settings: { InstallSettings(try Self.settings(root)) },
                installedVersion: {
                    do throws(ConfigurationError) {
                        return try Self.settings(root).device.version.read()
                    } catch {
                        return .unknown("\(error)")
                    }
                },
                verify: { artifact, offer, destination in
                    let settings = try Self.settings(root)
                    return try ArtifactVerifier(settings.verification).copy(
                        artifact, of: offer, devModelKey: settings.device.devModelKey, to: destination)
                },
                report: { JSONLine.send($0) }))
        return try await installer.handle(request)
    }
}

extension InstallSettings {
    init(_ settings: Settings) {
        let install = settings.install
        self.init(
            module: install.module, moduleFolders: install.folders, fileName: install.fileName, files: install.files,
            metaData: install.metaData, timeout: install.timeout, timeouts: install.timeouts,
            rebootCommand: install.rebootCommand, devModelKey: settings.device.devModelKey)
    }
}
