import Testing
import UpdateCore
import UpgradeLinkAPI
import Verification

@Suite struct SignatureTests {
    private let signer = RequestSigner(credentials: Credentials(accessKey: "ak", secretKey: Secret("s3cr3t"))) {
        Digest.hex(.md5, of: $0)
    }

    @Test func theContractsTestVector() {
        let signature = signer.signature(
            body: Array(#"{"urlKey":"k"}"#.utf8), nonce: "abcdef1234567890", timestamp: "2025-02-17T10:34:55+08:00",
            path: "/v1/url/upgrade")
        #expect(signature == "8ffa2727bb0786b87d3d21c8fd87d791")
    }

    @Test func anEmptyBodyIsLeftOut() {
        let expected = Digest.hex(.md5, of: Array("nonce=n&secretKey=s3cr3t&timestamp=t&url=/p".utf8))
        #expect(signer.signature(body: [], nonce: "n", timestamp: "t", path: "/p") == expected)
    }

    @Test func thePathIsSignedAsTheServerReceivesIt() {
        let plain = signer.signature(body: [], nonce: "n", timestamp: "t", path: "/a b/ü%")
        #expect(signer.signature(body: [], nonce: "n", timestamp: "t", path: "/a%20b/%C3%BC%") == plain)
        let overridden = signer.sign(
            path: "/proxy/v1", signedPath: "/v1", body: [1], at: WallTime(unixSeconds: 0), nonce: "n")
        let direct = signer.sign(path: "/v1", body: [1], at: WallTime(unixSeconds: 0), nonce: "n")
        #expect(overridden.headers.last?.value == direct.headers.last?.value)
    }

    @Test func noncesAreLongAndUnique() {
        let nonces = (0..<1000).map { _ in RequestSigner.makeNonce() }
        #expect(Set(nonces).count == 1000)
        #expect(nonces.allSatisfy { $0.count == 32 })
    }

    @Test func timestampsAreRFC3339() {
        #expect(rfc3339(WallTime(unixSeconds: 1_739_759_695.9)) == "2025-02-17T02:34:55Z")
        #expect(rfc3339(WallTime(unixSeconds: -5)) == "1970-01-01T00:00:00Z")
    }

    @Test func theBodyOmitsAbsentFields() {
        let body = upgradeBody(CheckRequest(urlKey: "k\"/", versionCode: 3))
        #expect(String(decoding: body, as: UTF8.self) == #"{"urlKey":"k\"/","versionCode":3}"#)
    }

    @Test func reportsCarryTheContractsFields() {
        let server = ServerConnection(url: "http://x", connectTimeout: 1, requestTimeout: 1)
        func body(_ kind: Report.Kind) -> String {
            let job = ReportJob(
                server: server, credentials: Credentials(accessKey: "a", secretKey: Secret("b")), serverClock: nil,
                urlKey: "k", devModelKey: "m", devKey: "d", report: Report(kind: kind, time: WallTime(unixSeconds: 0)))
            return String(decoding: reportBody(job), as: UTF8.self)
        }
        #if arch(x86_64)
            let machine = #""arch":"x86_64","#
        #else
            let machine = #""arch":"aarch64","#
        #endif
        #expect(
            body(.appStart(versionCode: 3)) == #"{"appKey":"k","eventData":{"# + machine
                + #""devKey":"d","devModelKey":"m","launchTime":"1970-01-01T00:00:00Z","target":"linux","versionCode":3},"eventType":"app_start","timestamp":"1970-01-01T00:00:00Z"}"#
        )
        #expect(body(.download(running: 1, version: 2, code: 0)).contains(#""code":0,"#))
        #expect(body(.download(running: 1, version: 2, code: 0)).contains(#""downloadVersionCode":2"#))
        #expect(body(.upgrade(running: 1, version: 2, code: 3)).contains(#""upgradeVersionCode":2,"versionCode":1"#))
    }

    @Test func theSecretIsNeverPrinted() {
        let credentials = Credentials(accessKey: "ak", secretKey: Secret("s3cr3t"))
        var dumped = ""
        dump(credentials, to: &dumped)
        #expect(
            !dumped.contains("s3cr3t") && !"\(credentials)".contains("s3cr3t")
                && !String(reflecting: credentials).contains("s3cr3t"))
    }
}
