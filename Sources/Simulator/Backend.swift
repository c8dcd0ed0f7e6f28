public import FoundationEssentials

/// What a device asked for, and what it got.
public struct RequestRecord: Sendable {
    public var path: String
    public var status: Int
    /// The API's code; 0 for artifacts.
    public var code: Int
    public var device: String
    public var versionCode: Int
    public var headers: [String: String]
    public var body: String
    public var time: Date
}

/// The server's memory: versions, counters, nonces, reports, faults.
actor Backend {
    private var configuration: SimulatorConfiguration
    private var nonces: Set<String> = []
    private(set) var records: [RequestRecord] = []
    private var etagCounter = 0

    init(_ configuration: SimulatorConfiguration) { self.configuration = configuration }

    var folder: String { configuration.folder }
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

    /// The faults for a request, each used up by one.
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

    // MARK: who asks

    /// The checks of the real server, in its order; nil where the request passes.
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

    // MARK: what it gets

    func upgrade(_ body: Data, baseURL: String) -> APIReply {
        struct Body: Decodable {
            var urlKey: String?
            var versionCode: Int?
            var appointVersionCode: Int?
            var devModelKey: String?
            var devKey: String?
        }
        guard let question = try? JSONDecoder().decode(Body.self, from: body) else {
            return .error(400_005, "invalid body")
        }
        guard let urlKey = question.urlKey, let installed = question.versionCode else {
            return .error(400_002, "missing parameter")
        }
        guard installed != 0 else { return .error(400_003, "invalid parameter") }
        guard let place = configuration.applications.firstIndex(where: { $0.urlKey == urlKey }) else {
            return .error(404_002, "record not found")
        }
        let application = configuration.applications[place]
        let versions = application.versions
        let appointed = question.appointVersionCode ?? 0
        let candidates = versions.indices.filter { index in
            let version = versions[index]
            return
                (appointed > 0
                ? version.versionCode == appointed && appointed != installed : version.versionCode > installed)
                && application.offers(
                    version, devModelKey: question.devModelKey ?? "", devKey: question.devKey ?? "")
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
        guard configuration.applications.contains(where: { $0.urlKey == report.appKey }) else {
            return .error(500_001, "internal error")
        }
        return .success
    }
}
