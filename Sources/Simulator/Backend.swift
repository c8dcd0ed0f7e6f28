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
    private var registered: [String: Result<[UInt8], SystemError>] = [:]
    /// Why the registrations cannot be listed.
    private var listProblem: SystemError?
    private var served = ServedFiles()
    private let log: @Sendable (String) -> Void

    init(_ configuration: SimulatorConfiguration, log: @escaping @Sendable (String) -> Void) {
        self.configuration = configuration
        self.log = log
        served.add(configuration)
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
        let directory = configuration.directory
        var files: [Release.File] = []
        do throws(SystemError) {
            files = try Release.files(in: directory)
            listProblem = nil
        } catch {
            if error != listProblem { log("\(error); the versions that are registered there are not offered") }
            listProblem = error
        }
        let names = Set(files.map(\.name))
        for name in registered.keys where !names.contains(name) { withdraw(name) }
        for file in files where registered[file.name] != file.content {
            withdraw(file.name)
            registered[file.name] = file.content
            do throws(Release.Problem) {
                add(try Release(content: file.content), file.name)
            } catch {
                log("\(directory)/\(file.name): \(error); this version is not offered")
            }
        }
    }

    private func add(_ release: Release, _ name: String) {
        var version = release.version
        version.registration = name
        if let place = configuration.applications.firstIndex(where: { $0.urlKey == release.urlKey }) {
            configuration.applications[place].versions.append(version)
        } else {
            configuration.applications.append(Application(urlKey: release.urlKey, versions: [version]))
        }
        served.add(configuration)
    }

    /// Another registration, or the configuration, may name the same version: that one stays.
    private func withdraw(_ name: String) {
        registered[name] = nil
        for place in configuration.applications.indices {
            configuration.applications[place].versions.removeAll { $0.registration == name }
        }
    }

    // MARK: files

    /// Opens a file that devices may download; nil if there is no such file.
    func open(_ name: String) -> OpenFile? {
        // A device may download what it was offered before this server started.
        if !served.contains(name) { readReleases() }
        guard served.contains(name) else { return nil }
        do throws(SystemError) {
            return try ServedFiles.open(name, in: configuration.directory)
        } catch {
            let isLink = Files.isLink("\(configuration.directory)/\(name)")
            if !error.isNotFound || isLink {
                log("\(error.path): \(isLink ? "symbolic links are not followed" : error.reason); it is not served")
            }
            return nil
        }
    }

    var publicURL: String? { configuration.publicURL }
    var clockOffset: Double { configuration.clockOffset }

    func change(_ body: @Sendable (inout SimulatorConfiguration) -> Void) {
        body(&configuration)
        served.add(configuration)
    }

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
