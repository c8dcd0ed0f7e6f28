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

    /// Runs the installer once, with the agent's client; the result is `lost` if the installer is killed.
    public func run(
        _ request: InstallRequest
    ) async -> (result: InstallResult, states: [String], output: [String]) {
        var states: [String] = []
        var output: [String] = []
        let (reports, result) = await InstallerClient.Route.program(
            "\(programsDirectory)/upgradelink-installer", arguments: ["--root", scratch.path]
        ).send(request, timeLimit: 60)
        for report in reports {
            switch report {
            case .state(let name): states.append(name)
            case .output(let text): output.append(text)
            case .finished: break
            }
        }
        return (result, states, output)
    }

    /// Runs the installer until there is a result, even if it is killed several times.
    public func runToTheEnd(_ job: StagedInstallJob) async throws -> InstallResult? {
        var request = InstallRequest.install(job)
        for _ in 0..<20 {
            switch await run(request).result {
            case .lost: request = .resume(job.id)
            case .unknown: request = .install(job)
            case let result: return result
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
