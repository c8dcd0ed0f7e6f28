import FoundationEssentials
import Host
import Simulator
import TestSupport
import Testing

/// The simulated server keeps the contract of the real one.
@Suite struct ContractTests {
    private let scratch: Scratch
    private let checkPath = "/v1/url/upgrade"
    private let version = Version(versionCode: 2, versionName: "v2", file: "v2", upgradeType: 2)

    init() throws {
        scratch = try Scratch()
        try scratch.write("v2", "0123456789")
    }

    private func serve<Value: Sendable>(
        _ versions: [Version], groups: [String: [String]] = [:], clockOffset: Double = 0,
        body: @Sendable (Client, RunningServer) async throws -> Value
    ) async throws -> Value {
        let configuration = SimulatorConfiguration(
            directory: scratch.path, clockOffset: clockOffset, keys: [KeyPair(accessKey: "ak", secretKey: "sk")],
            applications: [Application(urlKey: "k", groups: groups, versions: versions)])
        return try await SimulatedServer.run(configuration) { server async throws in
            try await body(Client(url: server.url), server)
        }
    }

    // MARK: authentication

    @Test func aCorrectlySignedRequestIsAccepted() async throws {
        try await serve([version]) { client, server async throws in
            let response = try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#)
            #expect(response.status == 200 && response.code == 200)
            #expect(response.field("urlPath") == "http:\\/\\/127.0.0.1:\(server.port)\\/files\\/v2")
            #expect(response.field("versionCode") == "2" && response.field("upgradeType") == "2")
        }
    }

    @Test(arguments: ["X-Timestamp", "X-Nonce", "X-AccessKey", "X-Signature"])
    func aMissingHeaderIs400004(name: String) async throws {
        try await serve([version]) { client, _ async throws in
            let response = try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#, change: [name: ""])
            #expect(response.status == 400 && response.code == 400_004)
            #expect(response.field("traceId") != nil)
        }
    }

    @Test(arguments: [
        (["X-Nonce": "short"], 400_004), (["X-Timestamp": "yesterday"], 400_004), (["X-AccessKey": "unknown"], 401_001),
        (["X-Signature": "00000000000000000000000000000000"], 401_002),
        (["X-Timestamp": "2020-01-01T00:00:00Z"], 401_001),
    ])
    func aWrongHeaderIsRefused(change: [String: String], code: Int) async throws {
        try await serve([version]) { client, _ async throws in
            let response = try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#, change: change)
            #expect(response.code == code && response.status == code / 1000)
        }
    }

    @Test func theSignatureCoversBodyAndPathAndSecret() async throws {
        try await serve([version]) { client, _ async throws in
            let body = #"{"urlKey":"k","versionCode":1}"#
            #expect(try await client.post(checkPath, body, signedBody: body + " ").code == 401_002)
            #expect(try await client.post(checkPath, body, signedPath: "/prefix" + checkPath).code == 401_002)
            #expect(try await Client(url: client.url, secretKey: "sK").post(checkPath, body).code == 401_002)
        }
    }

    @Test func aNonceIsAcceptedOnce() async throws {
        try await serve([version]) { client, _ async throws in
            let nonce = ["X-Nonce": "abcdef1234567890"]
            #expect(try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#, change: nonce).code == 200)
            #expect(try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#, change: nonce).code == 401_001)
        }
    }

    @Test(arguments: [(290.0, 200), (-290, 200), (310, 401_001), (-310, 401_001)])
    func aTimestampMayBeFiveMinutesOff(offset: Double, code: Int) async throws {
        try await serve([version]) { client, _ async throws in
            var received = 0
            var start: Date
            repeat {
                start = Date()
                let time = start.addingTimeInterval(offset)
                received = try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#, at: time).code
                // A slow request may reach the server on the other side of the bound: the test repeats it.
            } while Date().timeIntervalSince(start) > 8
            #expect(received == code)
        }
    }

    @Test func fractionsAndOffsetsOfATimestampAreRead() async throws {
        try await serve([version]) { client, _ async throws in
            let now = Date().addingTimeInterval(8 * 3600).formatted(.iso8601).dropLast()
            for timestamp in ["\(now)+08:00", "\(now).123+08:00"] {
                let response = try await client.post(
                    checkPath, #"{"urlKey":"k","versionCode":1}"#, change: ["X-Timestamp": timestamp])
                #expect(response.code == 200, "\(timestamp)")
            }
        }
    }

    @Test func theServersClockSetsItsDateAndItsTimeWindow() async throws {
        try await serve([version], clockOffset: -86_400 * 365) { client, _ async throws in
            let response = try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#)
            #expect(response.code == 401_001)
            let year = Date().addingTimeInterval(-86_400 * 365).formatted(.iso8601).prefix(4)
            #expect(response.headers.contains("date: ") && response.headers.contains(" \(year) "))
        }
    }

    // MARK: responses

    @Test(arguments: [
        ("", 400_005), ("{", 400_005), ("{}", 400_002), (#"{"urlKey":"k"}"#, 400_002),
        (#"{"urlKey":"k","versionCode":"1"}"#, 400_005), (#"{"urlKey":"k","versionCode":0}"#, 400_003),
        (#"{"urlKey":"other","versionCode":1}"#, 404_002), (#"{"urlKey":"k","versionCode":2}"#, 0),
        (#"{"urlKey":"k","versionCode":1,"appointVersionCode":2}"#, 200),
        (#"{"urlKey":"k","versionCode":3,"appointVersionCode":2}"#, 200),
        (#"{"urlKey":"k","versionCode":1,"appointVersionCode":7}"#, 0),
    ])
    func theBodyDeterminesTheCode(body: String, code: Int) async throws {
        try await serve([version]) { client, _ async throws in
            #expect(try await client.post(checkPath, body).code == code)
        }
    }

    @Test func anUpToDateResponseHasAnEmptyObject() async throws {
        try await serve([]) { client, _ async throws in
            let response = try await client.post(checkPath, #"{"urlKey":"k","versionCode":1}"#)
            #expect(response.status == 200 && response.field("urlPath") == "" && response.field("versionCode") == "0")
        }
    }

    @Test func anUnknownPathIs404003() async throws {
        try await serve([]) { client, _ async throws in
            #expect(try await client.get("/v2/anything").code == 404_003)
            #expect(try await client.get(checkPath).code == 404_003)
        }
    }

    @Test func aReportOfAnUnknownApplicationIs500AsOnTheRealServer() async throws {
        try await serve([]) { client, server async throws in
            let known = try await client.post("/v1/app/report", #"{"eventType":"app_start","appKey":"k"}"#)
            #expect(known.status == 200 && known.code == 0)
            let unknown = try await client.post("/v1/app/report", #"{"eventType":"app_start","appKey":"x"}"#)
            #expect(unknown.status == 500 && unknown.code == 500_001)
            #expect(await server.records.map(\.code) == [0, 500_001])
        }
    }

    // MARK: strategies

    private func codes(_ client: Client, _ count: Int, _ more: String = "") async throws -> [Int] {
        var codes: [Int] = []
        for _ in 0..<count {
            codes.append(try await client.post(checkPath, "{\"urlKey\":\"k\",\"versionCode\":1\(more)}").code)
        }
        return codes
    }

    @Test func aStagedRollOutGrantsItsQuotaOnce() async throws {
        var version = version
        version.staged = 2
        try await serve([version]) { client, _ async throws in
            #expect(try await codes(client, 3) == [200, 200, 0])
        }
    }

    @Test func aConsumedRateLimitGives429() async throws {
        var version = version
        version.rateLimit = 1
        try await serve([version]) { client, _ async throws in
            #expect(try await codes(client, 3) == [200, 429_001, 429_001])
        }
    }

    @Test func anOlderVersionIsOfferedIfTheNewerQuotaIsConsumed() async throws {
        var newer = Version(versionCode: 3, versionName: "v3", file: "v3", upgradeType: 2)
        newer.staged = 1
        try await serve([version, newer]) { client, _ async throws in
            let body = #"{"urlKey":"k","versionCode":1}"#
            #expect(try await client.post(checkPath, body).field("versionCode") == "3")
            #expect(try await client.post(checkPath, body).field("versionCode") == "2")
        }
    }

    @Test func modelsDevicesAndGroupsSelectTheDevices() async throws {
        var byModel = version
        byModel.models = ["m1"]
        var byDevice = version
        byDevice.devices = ["d1"]
        byDevice.groups = ["beta"]
        try await serve([byModel]) { client, _ async throws in
            #expect(try await codes(client, 1, #","devModelKey":"m1""#) == [200])
            #expect(try await codes(client, 1, #","devModelKey":"m2""#) == [0])
            #expect(try await codes(client, 1) == [0])
        }
        try await serve([byDevice], groups: ["beta": ["d2"]]) { client, _ async throws in
            #expect(try await codes(client, 1, #","devKey":"d1""#) == [200])
            #expect(try await codes(client, 1, #","devKey":"d2""#) == [200])
            #expect(try await codes(client, 1, #","devKey":"d3""#) == [0])
        }
    }
}
