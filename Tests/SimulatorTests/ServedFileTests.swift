import Glibc
import Host
import Simulator
import Synchronization
import TestSupport
import Testing

/// Which files devices can download, and parts of them.
@Suite struct ServedFileTests {
    private let scratch: Scratch
    private let log = Log()

    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
    }

    init() throws {
        scratch = try Scratch()
        try scratch.write("f", "0123456789")
    }

    private func version(_ file: String, code: Int = 2) -> Version {
        Version(versionCode: code, versionName: "v\(code)", file: file, upgradeType: 2)
    }

    private func serve(
        _ files: [String], faults: [Fault] = [], body: @Sendable (Client, RunningServer) async throws -> Void
    ) async throws {
        let configuration = SimulatorConfiguration(
            directory: scratch.path, keys: [KeyPair(accessKey: "ak", secretKey: "sk")],
            applications: [Application(urlKey: "k", versions: files.map { version($0) })], faults: faults)
        try await SimulatedServer.run(configuration, log: { line in log.lines.withLock { $0.append(line) } }) {
            server async throws in
            try await body(Client(url: server.url), server)
        }
    }

    @Test func onlyWhatBelongsToAVersionIsServed() async throws {
        let served = [
            "f", "f.minisig", "f.sha256", "f.sig", "sub/g", "sub/g.minisig", "moved", "far", "player-3.tar",
            "player-3.tar.minisig",
        ]
        let kept = [
            "secret.key", "secret.key.minisig", "sim.toml", ".hidden", "sub/other", "f.txt", "f.minisig.minisig", "sub",
        ]
        for name in served + kept where name != "f" && name != "sub" { try scratch.write(name, "content") }
        try Release(urlKey: "player", version: version("player-3.tar", code: 3)).write(in: scratch.path)
        let faults = [
            Fault(path: "/a", redirect: "/files/moved"), Fault(path: "/b", redirect: "http://127.0.0.1:1/files/far"),
            Fault(path: "/c", redirect: "/secret.key"), Fault(path: "/d", redirect: "sim.toml"),
        ]
        try await serve(["f", "./sub/g", "http://127.0.0.1:1/secret.key"], faults: faults) { client, _ async throws in
            // A device may download what an earlier server offered: the registration is read before any update check.
            for name in served {
                #expect(try await client.get("/files/\(name)").status == 200, "\(name)")
            }
            for name in kept + ["", ".", "..", "player-3.release.toml", "../secret.key", "absent"] {
                let response = try await client.get("/files/\(name)", ["--path-as-is"])
                #expect(response.status == 404 && !response.body.contains("content"), "\(name)")
            }
        }
    }

    @Test func linksAndOtherKindsOfFilesAreNotServed() async throws {
        try scratch.write("outside/secret", "content")
        try Files.createDirectory("\(scratch.path)/inside")
        symlink("../outside", "\(scratch.path)/inside/way")
        symlink("../outside/secret", "\(scratch.path)/inside/link")
        mkfifo("\(scratch.path)/inside/pipe", 0o600)
        try Files.createDirectory("\(scratch.path)/inside/directory")
        let names = ["link", "way/secret", "pipe", "directory", "../outside/secret"]
        let configuration = SimulatorConfiguration(
            directory: "\(scratch.path)/inside", keys: [],
            applications: [Application(urlKey: "k", versions: names.map { version($0) })])
        try await SimulatedServer.run(configuration, log: { line in log.lines.withLock { $0.append(line) } }) {
            server async throws in
            for name in names {
                let response = try await Client(url: server.url).get("/files/\(name)", ["--path-as-is"])
                #expect(response.status == 404 && !response.body.contains("content"), "\(name)")
            }
        }
        let reason = "\(scratch.path)/inside/link: symbolic links are not followed; it is not served"
        #expect(log.all.contains(reason), "\(log.all)")
    }

    @Test func theFileOfAWithdrawnVersionIsStillServed() async throws {
        try scratch.write("g", "9876543210")
        try await serve(["f"]) { client, server async throws in
            #expect(try await client.get("/files/g").status == 404)
            let next = version("g")
            await server.change { $0.applications[0].versions = [next] }
            #expect(try await client.get("/files/g").status == 200)
            #expect(try await client.get("/files/f").status == 200)
        }
    }

    /// RFC 9110, section 14.1.2. A server may ignore a field that is not valid.
    @Test(arguments: [
        ("bytes=0-1", 206, "01", "bytes 0-1/10"), ("bytes=4-", 206, "456789", "bytes 4-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"), ("bytes=-20", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=9-99999999999999999999", 206, "9", "bytes 9-9/10"), ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=99999999999999999999-", 416, "", "bytes */10"), ("bytes=-0", 416, "", "bytes */10"),
        ("bytes=5-4", 200, "0123456789", ""), ("bytes=0-1,3-4", 200, "0123456789", ""),
        ("lines=0-1", 200, "0123456789", ""), ("bytes=-", 200, "0123456789", ""), ("bytes=a-", 200, "0123456789", ""),
        ("bytes=+1-", 200, "0123456789", ""),
    ])
    func rangesAreThoseOfTheStandard(field: String, status: Int, body: String, range: String) async throws {
        try await serve(["f"]) { client, _ async throws in
            let response = try await client.get("/files/f", ["-H", "Range: \(field)"])
            #expect(response.status == status && response.body == body, "\(response)")
            #expect(response.headers.contains("content-range: \(range)") == !range.isEmpty, "\(response.headers)")
        }
    }

    /// RFC 9112, section 3.2.
    @Test func aRequestWithoutAHostIsWrong() async throws {
        try await serve(["f"]) { client, _ async throws in
            #expect(try await client.get("/files/f", ["-H", "Host:"]).status == 400)
            #expect(try await client.get("/files/f", ["-H", "Host:", "--http1.0"]).status == 200)
            let check = #"{"urlKey":"k","versionCode":1}"#
            let response = try await client.post("/v1/url/upgrade", check, change: ["Host": ""])
            #expect(response.status == 400 && response.field("urlPath") == nil, "\(response)")
        }
    }

    @Test func aDirectoryThatCannotBeListedAnyMoreIsReportedOnce() async throws {
        try Release(urlKey: "player", version: version("f")).write(in: scratch.path)
        try await serve([]) { client, _ async throws in
            let check = #"{"urlKey":"player","versionCode":1}"#
            #expect(try await client.post("/v1/url/upgrade", check).code == 200)
            try Files.removeTree(scratch.path)
            #expect(try await client.post("/v1/url/upgrade", check).code == 0)
            #expect(try await client.post("/v1/url/upgrade", check).code == 0)
        }
        let report =
            "cannot list \(scratch.path): No such file or directory; the versions that are registered there are not offered"
        #expect(log.all.filter { $0 == report }.count == 1, "\(log.all)")
    }
}
