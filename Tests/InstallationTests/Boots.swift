import Glibc
import Host
import Simulator
import TestSupport
import UpdateCore
import Verification

@testable import Installation

/// An installer in the test's own process; the test names each boot.
struct Boots: Sendable {
    let scratch: Scratch
    let publisher: Publisher
    var settings: InstallSettings
    /// False: the configuration cannot be read.
    var hasConfiguration = true
    /// The device's version file.
    var versionFile: String

    init(
        _ scratch: Scratch, _ publisher: Publisher, module: String, directory: String? = nil,
        fileName: String = "artifact",
        files: [String: String] = [:], versionFile: String
    ) {
        self.scratch = scratch
        self.publisher = publisher
        self.versionFile = versionFile
        settings = InstallSettings(
            module: module, moduleDirectories: [directory ?? modulesDirectory],
            fileName: fileName,
            files: files, metaData: "{}", timeout: 60, timeouts: [:], rebootCommand: ["/bin/true"],
            urlKey: InstallerDevice.urlKey, devModelKey: nil, sizeLimit: .max,
            health: HealthCheck())
    }

    /// Handles one request in the boot with this id.
    @MainActor func boot(
        _ id: String, _ request: InstallRequest, isRoot: Bool = false, reboot: [String]? = nil,
        health: HealthCheck = HealthCheck(), report: @escaping @Sendable (InstallReport) -> Void = { _ in }
    ) async throws -> InstallResult {
        let (message, artifact) = try open(request)
        let installer = try installer(id, reboot, health, report)
        return try await withCheckedThrowingContinuation { continuation in
            installer.handle(message, artifact: artifact, isRoot: isRoot) { continuation.resume(with: $0) }
        }
    }

    /// Does what the device does by itself after a boot.
    @MainActor func start(
        _ id: String, reboot: [String]? = nil, health: HealthCheck = HealthCheck()
    ) async throws -> InstallResult? {
        let installer = try installer(id, reboot, health, { _ in })
        return try await withCheckedThrowingContinuation { continuation in
            installer.resumePending { continuation.resume(with: $0) }
        }
    }

    /// Signs a file for a version, and returns the job that installs it.
    func job(_ id: InstallID, version: Int, file: String) async throws -> StagedInstallJob {
        try await publisher.sign(file, comment: "urlKey=\(InstallerDevice.urlKey) versionCode=\(version)")
        return StagedInstallJob(
            id: id, offer: try InstallerDevice.offer(version),
            artifact: Artifact(path: file, sidecarPath: "\(file).minisig", size: 0))
    }

    private func open(_ request: InstallRequest) throws -> (InstallMessage, OpenFile?) {
        switch request {
        case .space: return (.space, nil)
        case .resume(let id): return (.resume(id), nil)
        case .reboot(let id): return (.reboot(id), nil)
        case .cancel(let id): return (.cancel(id), nil)
        case .forgetAttempts(let code): return (.forgetAttempts(versionCode: code), nil)
        case .install(let job):
            let sidecar = try job.artifact.sidecarPath.map {
                String(decoding: try Files.read($0, limit: 4096), as: UTF8.self)
            }
            return (
                .install(InstallJob(id: job.id, offer: job.offer, sidecar: sidecar)),
                try OpenFile(job.artifact.path, O_RDONLY)
            )
        }
    }

    private struct Failure: Error, CustomStringConvertible { let description = "there is no configuration" }

    @MainActor private func installer(
        _ id: String, _ reboot: [String]?, _ health: HealthCheck, _ report: @escaping @Sendable (InstallReport) -> Void
    ) throws -> Installer {
        var settings = settings
        settings.health = health
        if let reboot { settings.rebootCommand = reboot }
        let (key, path, chosen) = (publisher.publicKey, versionFile, settings)
        return try Installer(
            directory: "\(scratch.path)/state/installer", bootID: id,
            .init(
                settings: {
                    if !hasConfiguration { throw Failure() }
                    return chosen
                },
                installedVersion: {
                    let bytes = (try? Files.read(path, limit: 4 << 20)) ?? []
                    let code = String(decoding: bytes, as: UTF8.self).firstMatch(of: /VERSION_CODE=(\d+)/)
                    return code.flatMap { Int($0.1) }.map { .known(versionCode: $0, versionName: nil) }
                        ?? .unknown("no version")
                },
                verify: { source, job in
                    let policy = VerificationPolicy(
                        mode: .minisign, keys: [key], sidecarURL: "{url}.minisig", requireVersionCode: true)
                    return try ArtifactVerifier(policy).reading(
                        source, sidecar: job.sidecar.map { Array($0.utf8) }, of: job.offer, devModelKey: nil,
                        sizeLimit: .max)
                },
                report: report, stop: StopRequest()))
    }
}
