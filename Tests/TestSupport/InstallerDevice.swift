public import Host
public import Simulator
public import UpdateCore

/// A device with a configuration, a version file and something to install, for the real `upgradelink-installer`.
public struct InstallerDevice: Sendable {
    public let scratch: Scratch
    public let publisher: Publisher
    public static let urlKey = "device"

    /// - Parameter install: the `[install]` table's lines; `@ROOT@` stands for the device's directory.
    public init(install: String, versionFile: String = "@ROOT@/version") async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        try scratch.write("version", "VERSION_CODE=1\n")
        try configure(install: install, versionFile: versionFile)
    }

    public func configure(install: String, versionFile: String = "@ROOT@/version") throws {
        let text = """
            [credentials]
            accessKey = "ak"
            secretKey = "sk"
            [device]
            urlKey = "\(Self.urlKey)"
            devKey = "d"
            versionFile = "\(versionFile)"
            [verification]
            keys = ["\(publisher.publicKey)"]
            [download]
            directory = "@ROOT@/staging"
            [state]
            directory = "@ROOT@/state"
            [install]
            \(install)

            """
        try scratch.write("etc/upgradelinkd/upgradelinkd.toml", text.replacing("@ROOT@", with: scratch.path))
    }

    public static func offer(_ versionCode: Int) throws -> Offer {
        let fields = OfferFields(
            urlKey: urlKey, versionName: "v\(versionCode)", versionCode: versionCode, urlPath: "http://h/f",
            upgradeType: 2,
            promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: urlKey, versionCode: 0))
    }

    /// Signs a file of the device for a version, and returns the job that installs it.
    public func job(_ id: InstallID, version: Int, artifact: String) async throws -> StagedInstallJob {
        let path = "\(scratch.path)/\(artifact)"
        try await publisher.sign(path, comment: "urlKey=\(Self.urlKey) versionCode=\(version)")
        return StagedInstallJob(
            id: id, offer: try Self.offer(version),
            artifact: Artifact(path: path, sidecarPath: "\(path).minisig", size: 0))
    }

    /// Stages an artifact as the agent does, and returns the job that installs it.
    public func stagedJob(_ id: InstallID, version: Int, content: String) async throws -> StagedInstallJob {
        try scratch.write("staging/\(version).artifact", content)
        return try await job(id, version: version, artifact: "staging/\(version).artifact")
    }

    /// Runs the installer once, with the agent's client; the result is `lost` if the installer is killed.
    ///
    /// - Parameters:
    ///   - boot: the number of the simulated boot.
    ///   - environment: more variables for it, such as `NAME=value`.
    public func run(
        _ request: InstallRequest, boot: Int = 1, environment: [String] = []
    ) async -> (result: InstallResult, states: [String], output: [String]) {
        var states: [String] = []
        var output: [String] = []
        let id = String(repeating: "\(boot % 10)", count: 32)
        let (reports, result) = await InstallerClient.Route.program(
            "/usr/bin/env",
            arguments: ["UPGRADELINK_BOOT_ID=\(id)"] + environment
                + ["\(programsDirectory)/upgradelink-installer", "--root", scratch.path]
        ).send(request, timeLimit: 60)
        for report in reports {
            switch report {
            case .state(let name): states.append(name)
            case .output(let text): output.append(text)
            case .space, .finished: break
            }
        }
        return (result, states, output)
    }

    /// Runs the installer until there is a result, even if it is killed several times. The device reboots if the installer
    /// requests it, or ends during the module's reboot.
    public func runToTheEnd(_ job: StagedInstallJob) async throws -> InstallResult? {
        var request = InstallRequest.install(job)
        var boot = 1
        for _ in 0..<20 {
            let (result, states, _) = await run(request, boot: boot)
            switch result {
            case .lost:
                if states.last?.hasSuffix("Reboot") == true, states.last?.contains("Verify") == false { boot += 1 }
                request = .resume(job.id)
            case .rebooting, .rebootRefused:
                boot += 1
                request = .resume(job.id)
            case .unknown: request = .install(job)
            default: return result
            }
        }
        return nil
    }
}

extension InstallerClient.Route {
    /// Sends a request, and waits for its result.
    @MainActor public func send(
        _ request: InstallRequest, timeLimit: Seconds
    ) async -> (reports: [InstallReport], result: InstallResult) {
        var reports: [InstallReport] = []
        let result = await withCheckedContinuation { continuation in
            InstallerClient(self, timeLimit: timeLimit).send(
                request, onReport: { reports.append($0) }, onEnd: { continuation.resume(returning: $0) })
        }
        return (reports, result)
    }
}
