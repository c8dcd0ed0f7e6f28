public import FoundationEssentials
import Host

/// A request of a device, and the status of the reply.
public struct RequestRecord: Sendable {
    public var path: String
    public var status: Int
    /// The code of an API reply; 0 for artifacts.
    public var code: Int
    /// The devKey; empty if the request has none.
    public var device: String
    /// The installed versionCode that the request reports; 0 if it has none.
    public var versionCode: Int
    /// By lower-case name.
    public var headers: [String: String]
    public var body: String
    public var time: Date
}

/// The state of the server: configuration with remaining quotas and faults, nonces, and records.
actor Backend {
    private var configuration: SimulatorConfiguration
    private var nonces: Set<String> = []
    private(set) var records: [RequestRecord] = []
    private var etagCounter = 0
    /// The registrations that were read, by file name.
    private var registered: [String: (bytes: [UInt8], release: Release?)] = [:]
    private let log: @Sendable (String) -> Void

    init(_ configuration: SimulatorConfiguration, log: @escaping @Sendable (String) -> Void) {
        self.configuration = configuration
        self.log = log
    }

    // MARK: releases

    /// What the server offers now, in the order of applications and versions.
    var releases: [Release] {
        readReleases()
        return configuration.applications.flatMap { application in
            application.versions.sorted { $0.versionCode < $1.versionCode }.map {
                Release(urlKey: application.urlKey, version: $0)
            }
        }
    }

    /// Reads new and changed registrations. An unchanged one keeps what remains of its quota.
    private func readReleases() {
        let files = Release.files(in: configuration.directory)
        let names = Set(files.map(\.name))
        for name in registered.keys where !names.contains(name) { withdraw(name) }
        for (name, bytes) in files where registered[name]?.bytes != bytes {
            withdraw(name)
            do throws(SimulatorConfiguration.Problem) {
                let release = try Release(toml: String(decoding: bytes, as: UTF8.self))
                registered[name] = (bytes, release)
                add(release)
            } catch {
                registered[name] = (bytes, nil)
                log("\(configuration.directory)/\(name): \(error); this version is not offered")
            }
        }
    }

    private func add(_ release: Release) {
        if let place = configuration.applications.firstIndex(where: { $0.urlKey == release.urlKey }) {
            configuration.applications[place].versions.append(release.version)
        } else {
            configuration.applications.append(Application(urlKey: release.urlKey, versions: [release.version]))
        }
    }

    private func withdraw(_ name: String) {
        guard let release = registered.removeValue(forKey: name)?.release else { return }
        for place in configuration.applications.indices
        where configuration.applications[place].urlKey == release.urlKey {
            configuration.applications[place].versions.removeAll {
                $0.versionCode == release.version.versionCode && $0.file == release.version.file
            }
        }
    }

    var directory: String { configuration.directory }
    var publicURL: String? { configuration.publicURL }
    var clockOffset: Double { configuration.clockOffset }

    func change(_ body: @Sendable (inout SimulatorConfiguration) -> Void) { body(&configuration) }

    func record(_ record: RequestRecord) { records.append(record) }

    func forgetRecords() {
        records = []
        nonces = []
    }

    func nextETag() -> Int {
        etagCounter += 1
        return etagCounter
    }

    /// The faults for a request. Each call consumes one of a fault's ``Fault/times``.
    func takeFaults(for path: String) -> [Fault] {
        var taken: [Fault] = []
        for index in configuration.faults.indices where path.hasPrefix(configuration.faults[index].path) {
            let fault = configuration.faults[index]
            if let times = fault.times {
                guard times > 0 else { continue }
                configuration.faults[index].times = times - 1
            }
            taken.append(fault)
        }
        return taken
    }

    // MARK: authentication

    /// The error reply for a request, or nil if it passes. The checks are those of the real server, in the same order.
    func refusal(path: String, headers: [String: String], body: Data) -> APIReply? {
        for name in ["x-timestamp", "x-nonce", "x-accesskey", "x-signature"] where (headers[name] ?? "").isEmpty {
            return .error(400_004, "invalid header \(name)")
        }
        let nonce = headers["x-nonce"] ?? ""
        let timestamp = headers["x-timestamp"] ?? ""
        guard nonce.count >= 16 else { return .error(400_004, "invalid header x-nonce") }
        guard let time = parse(timestamp) else { return .error(400_004, "invalid header x-timestamp") }
        let now = Date().addingTimeInterval(configuration.clockOffset)
        guard abs(time.timeIntervalSince(now)) <= 300 else { return .error(401_001, "认证失败") }
        guard let pair = configuration.keys.first(where: { $0.accessKey == headers["x-accesskey"] }) else {
            return .error(401_001, "认证失败")
        }
        guard nonces.insert(nonce).inserted else { return .error(401_001, "认证失败") }
        var text = body.isEmpty ? "" : "body=\(String(decoding: body, as: UTF8.self))&"
        text += "nonce=\(nonce)&secretKey=\(pair.secretKey)&timestamp=\(timestamp)&url=\(path)"
        guard md5(text) == headers["x-signature"] else { return .error(401_002, "签名错误") }
        return nil
    }

    private func parse(_ timestamp: String) -> Date? {
        let plain = try? Date(timestamp, strategy: .iso8601)
        return plain ?? (try? Date(timestamp, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }

    // MARK: replies

    func upgrade(_ body: Data, baseURL: String) -> APIReply {
        struct Body: Decodable {
            var urlKey: String?
            var versionCode: Int?
            var appointVersionCode: Int?
            var devModelKey: String?
            var devKey: String?
        }
        guard let checkRequest = try? JSONDecoder().decode(Body.self, from: body) else {
            return .error(400_005, "invalid body")
        }
        guard let urlKey = checkRequest.urlKey, let installed = checkRequest.versionCode else {
            return .error(400_002, "missing parameter")
        }
        guard installed != 0 else { return .error(400_003, "invalid parameter") }
        readReleases()
        guard let place = configuration.applications.firstIndex(where: { $0.urlKey == urlKey }) else {
            return .error(404_002, "record not found")
        }
        let application = configuration.applications[place]
        let versions = application.versions
        let pinned = checkRequest.appointVersionCode ?? 0
        let candidates = versions.indices.filter { index in
            let version = versions[index]
            return
                (pinned > 0
                ? version.versionCode == pinned && pinned != installed : version.versionCode > installed)
                && application.offers(
                    version, devModelKey: checkRequest.devModelKey ?? "", devKey: checkRequest.devKey ?? "")
        }.sorted { versions[$0].versionCode > versions[$1].versionCode }
        for index in candidates {
            if let staged = versions[index].staged {
                guard staged > 0 else { continue }
                configuration.applications[place].versions[index].staged = staged - 1
            }
            if let rateLimit = versions[index].rateLimit {
                guard rateLimit > 0 else { return .error(429_001, "请求过于频繁") }
                configuration.applications[place].versions[index].rateLimit = rateLimit - 1
            }
            return .offer(versions[index], urlKey: urlKey, baseURL: baseURL)
        }
        return .latest
    }

    func report(_ body: Data) -> APIReply {
        struct Body: Decodable {
            var eventType: String
            var appKey: String
        }
        guard let report = try? JSONDecoder().decode(Body.self, from: body) else {
            return .error(400_005, "invalid body")
        }
        readReleases()
        guard configuration.applications.contains(where: { $0.urlKey == report.appKey }) else {
            return .error(500_001, "internal error")
        }
        return .success
    }
}
