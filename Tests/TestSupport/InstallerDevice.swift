public import Host
public import Simulator
public import UpdateCore

/// A device with a configuration, a version file and something to install, for the real `upgradelink-installer`.
public struct InstallerDevice: Sendable {
    public let scratch: Scratch
    public let publisher: Publisher
    public static let urlKey = "device"

    /// - Parameter install: the `[install]` table's lines; `@BOX@` stands for the device's directory.
    public init(install: String, versionFile: String = "@BOX@/version") async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        try scratch.write("version", "VERSION_CODE=1\n")
        try configure(install: install, versionFile: versionFile)
    }

    public func configure(install: String, versionFile: String = "@BOX@/version") throws {
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
            directory = "@BOX@/state"
            [install]
            \(install)

            """
        try scratch.write("etc/upgradelinkd/upgradelinkd.toml", text.replacing("@BOX@", with: scratch.path))
    }

    public static func offer(_ versionCode: Int) throws -> Offer {
        let fields = OfferFields(
            urlKey: urlKey, versionName: "v\(versionCode)", versionCode: versionCode, urlPath: "http://h/f",
            upgradeType: 2,
            promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: urlKey, versionCode: 0))
    }

    /// Signs a file of the device for a version, and orders its installation.
    public func job(_ id: InstallID, version: Int, artifact: String) async throws -> StagedInstallJob {
        let path = "\(scratch.path)/\(artifact)"
        try await publisher.sign(path, comment: "urlKey=\(Self.urlKey) versionCode=\(version)")
        return StagedInstallJob(
            id: id, offer: try Self.offer(version),
            artifact: Artifact(path: path, sidecarPath: "\(path).minisig", size: 0))
    }

    /// One run of the installer, through the agent's own client; its result is `lost` where it dies.
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

    /// Runs until there is a result, however often the installer dies in between.
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
