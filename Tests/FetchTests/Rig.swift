import Host
import Simulator
import TestSupport
import UpdateCore

/// A publisher, its files, and jobs for them.
struct Rig: Sendable {
    let scratch: Scratch
    let publisher: Publisher
    static let urlKey = "device"
    static let size = 3_000_000

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        try Files.createDirectory("\(scratch.path)/files")
        try await execute("sh", ["-c", "head -c \(Self.size) /dev/urandom >files/v2"], in: scratch.path)
        try await sign()
    }

    func sign(_ comment: String = "urlKey=device versionCode=2") async throws {
        try await publisher.sign("\(scratch.path)/files/v2", comment: comment)
    }

    var staging: String { "\(scratch.path)/staging" }

    func configuration(_ faults: [Fault] = []) -> SimulatorConfiguration {
        SimulatorConfiguration(
            directory: "\(scratch.path)/files", keys: [KeyPair(accessKey: "ak", secretKey: "sk")],
            applications: [
                Application(
                    urlKey: Self.urlKey,
                    versions: [Version(versionCode: 2, versionName: "v2", file: "v2", upgradeType: 2)])
            ], faults: faults)
    }

    static func offer(_ url: String) throws -> Offer {
        let fields = OfferFields(
            urlKey: urlKey, versionName: "v2", versionCode: 2, urlPath: url, upgradeType: 2, promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: urlKey, versionCode: 1))
    }

    func job(
        _ server: String, path: String = "/files/v2", change: (inout DownloadJob) -> Void = { _ in }
    ) throws -> DownloadJob {
        var job = DownloadJob(
            offer: try Self.offer(server + path), devModelKey: nil,
            connection: ServerConnection(url: server, connectTimeout: 20, requestTimeout: 20), directory: staging,
            speedLimit: 0,
            sizeLimit: 1 << 30, keepFree: 0, lowSpeed: 100, lowSpeedTime: 30,
            verification: VerificationPolicy(
                mode: .minisign, keys: [publisher.publicKey], sidecarURL: "{url}.minisig", requireVersionCode: true),
            priority: DownloadPriority(ioClass: .idle, nice: 10, flushEvery: 1 << 20, keepCache: 0))
        change(&job)
        return job
    }

    /// Whether the staged artifact is the published one.
    func isComplete(_ result: DownloadResult?) throws -> Bool {
        guard case .verified(let artifact)? = result else { return false }
        let names = try Files.list(staging)
        return try names == ["2.artifact", "2.sidecar"] && artifact.size == Self.size
            && Files.read(artifact.path, limit: 1 << 30) == Files.read("\(scratch.path)/files/v2", limit: 1 << 30)
    }

    func checkJob(_ server: String, versionCode: Int = 1, change: (inout CheckJob) -> Void = { _ in }) -> CheckJob {
        var job = CheckJob(
            server: ServerConnection(url: server, connectTimeout: 20, requestTimeout: 20),
            credentials: Credentials(accessKey: "ak", secretKey: Secret("sk")),
            checkRequest: CheckRequest(urlKey: Self.urlKey, versionCode: versionCode, devKey: "d"), serverClock: nil,
            inbox: "\(scratch.path)/offer.json")
        change(&job)
        return job
    }
}
