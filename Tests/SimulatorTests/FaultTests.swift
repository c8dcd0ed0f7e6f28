import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// Files with ranges, and every fault, as curl sees them.
@Suite struct FaultTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        try scratch.write("f", "0123456789")
    }

    private func serve<Value: Sendable>(
        _ faults: [Fault] = [], body: @Sendable (Client) async throws -> Value
    ) async throws -> Value {
        let version = Version(versionCode: 2, versionName: "v2", file: "f", upgradeType: 2)
        let configuration = SimulatorConfiguration(
            directory: scratch.path, keys: [], applications: [Application(urlKey: "k", versions: [version])],
            faults: faults)
        return try await SimulatedServer.run(configuration) { server async throws in
            try await body(Client(url: server.url))
        }
    }

    @Test func rangesAreServedUnlessTheFileChanged() async throws {
        try await serve { client async throws in
            let whole = try await client.get("/files/f")
            #expect(whole.status == 200 && whole.body == "0123456789")
            let tag = whole.headers.firstMatch(of: /etag: (\S+)/).map { String($0.1) } ?? "none"
            let part = try await client.get("/files/f", ["-H", "Range: bytes=4-", "-H", "If-Range: \(tag)"])
            #expect(part.status == 206 && part.body == "456789" && part.headers.contains("content-range: bytes 4-9/10"))
            let changed = try await client.get("/files/f", ["-H", "Range: bytes=4-", "-H", "If-Range: \"other\""])
            #expect(changed.status == 200 && changed.body == "0123456789")
            #expect(try await client.get("/files/f", ["-H", "Range: bytes=10-"]).status == 416)
            #expect(try await client.get("/files/absent").status == 404)
            #expect(try await client.get("/files/../etc/passwd", ["--path-as-is"]).status == 404)
        }
    }

    @Test func aFaultOccursTheConfiguredNumberOfTimes() async throws {
        try await serve([Fault(path: "/files", times: 2, status: 503, headers: ["Retry-After": "7"])]) {
            client async throws in
            let first = try await client.get("/files/f")
            #expect(first.status == 503 && first.headers.contains("retry-after: 7") && first.body.contains("<html>"))
            #expect(try await client.get("/files/f").status == 503)
            #expect(try await client.get("/files/f").status == 200)
        }
    }

    @Test func faultsChangeBodiesRedirectsAndRanges() async throws {
        try await serve([Fault(path: "/files/f", body: "{\"code\":1}")]) { client async throws in
            let response = try await client.get("/files/f")
            #expect(response.status == 200 && response.code == 1 && response.headers.contains("application/json"))
        }
        try await serve([Fault(path: "/files/f", redirect: "/files/g")]) { client async throws in
            let response = try await client.get("/files/f")
            #expect(response.status == 302 && response.headers.contains("location: /files/g"))
        }
        try await serve([Fault(path: "/files/f", noRanges: true)]) { client async throws in
            #expect(try await client.get("/files/f", ["-H", "Range: bytes=4-"]).status == 200)
        }
        try await serve([Fault(path: "/files/f", corrupt: true)]) { client async throws in
            #expect(try await client.get("/files/f").body == "1032547698")
        }
        try await serve([Fault(path: "/files/f", changingETag: true)]) { client async throws in
            let first = try await client.get("/files/f").headers.firstMatch(of: /etag: (\S+)/)?.1
            let second = try await client.get("/files/f").headers.firstMatch(of: /etag: (\S+)/)?.1
            #expect(first != nil && first != second)
        }
    }

    /// With curl's error messages (curl(1), EXIT CODES).
    @Test(arguments: [
        (Fault(path: "/files/f", dropAfter: 4), "transfer closed with 6 bytes remaining", "20"),
        (Fault(path: "/files/f", contentLength: 12), "transfer closed with 2 bytes remaining", "20"),
        (Fault(path: "/files/f", bytesPerSecond: 2), "Operation timed out", "1"),
        (Fault(path: "/files/f", delay: 3), "Operation timed out", "1"),
    ])
    func faultsDisturbAConnection(fault: Fault, complaint: String, timeLimit: String) async throws {
        try await serve([fault]) { client async throws in
            let failure = await #expect(throws: Publisher.Failure.self) {
                try await client.get("/files/f", ["--max-time", timeLimit])
            }
            #expect(failure?.description.contains(complaint) == true, "\(failure?.description ?? "")")
        }
    }

    // MARK: its configuration, and the program

    @Test func theExampleIsValidAndHasEveryKey() throws {
        let text = String(
            decoding: try Files.read("\(repositoryDirectory)/config/upgradelink-sim.toml", limit: 65_536), as: UTF8.self
        )
        let configuration = try SimulatorConfiguration(toml: text)
        #expect(
            configuration.listen == .loopback(port: 8480) && configuration.applications[0].versions[0].staged == 100)
        #expect(configuration.applications[0].groups == ["beta": ["001122aabbcc"]])
        #expect(configuration.faults[0].dropAfter == 1_000_000)
        // The lines that are commented out are valid too.
        let faults = text.split(separator: "\n").filter { $0.hasPrefix("# ") && $0.contains(" = ") }
        #expect(faults.count == 10)
        let all = try SimulatorConfiguration(
            toml: text.replacing("dropAfter = 1000000", with: "dropAfter = 1\n")
                + faults.map { $0.dropFirst(2) }.joined(separator: "\n"))
        #expect(all.faults[0].headers == ["Retry-After": "120"] && all.faults[0].corrupt == true)
    }

    @Test(arguments: [
        (
            "colour = 1",
            "line 3, column 1: colour is not a known key; allowed are port, directory, clockOffset, keys, applications, faults"
        ),
        (
            "[[faults]]\npath = \"/\"\nslow = true",
            "line 5, column 1: faults[0].slow is not a known key; allowed are path,"
        ),
        ("port = \"x\"", "line 3, column 8: port is not a whole number from 0 to 65535"),
        ("port = 65536", "line 3, column 8: port is not a whole number from 0 to 65535"),
        ("port = ", "line 3, column 8: not TOML: "), ("port = 1 # \0", "line 3, column 12: not TOML: a NUL byte"),
        ("[[faults]]\nstatus = 500", "line 3, column 1: faults[0].path is missing"),
        (
            "[[faults]]\npath = \"/\"\nheaders = { A = 1 }",
            "line 5, column 17: faults[0].headers.A is not a string"
        ),
    ])
    func anInvalidConfigurationIsReported(text: String, message: String) async throws {
        try scratch.write("sim.toml", "keys = []\napplications = []\n\(text)\n")
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelink-sim")), arguments: ["\(scratch.path)/sim.toml"],
            output: .string(limit: 65_536), error: .string(limit: 65_536))
        #expect(result.terminationStatus == .exited(78))
        #expect(result.standardError.hasPrefix("\(scratch.path)/sim.toml: "), "\(result.standardError)")
        #expect(result.standardError.contains(message), "\(result.standardError)")
        #expect(result.standardError.split(separator: "\n").count == 1)
    }

    @Test func theProgramPrintsEachRequest() async throws {
        try scratch.write(
            "sim.toml",
            """
            port = 0
            directory = "\(scratch.path)"
            [[keys]]
            accessKey = "ak"
            secretKey = "sk"
            [[applications]]
            urlKey = "k"
            """)
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelink-sim")), arguments: ["serve", "\(scratch.path)/sim.toml"],
            input: .none, output: .sequence,
            error: .discarded
        ) { execution in
            var lines: [String] = []
            for try await line in execution.standardOutput.strings() {
                lines.append(line)
                if let match = line.firstMatch(of: /Listening on (\S+)/) {
                    let client = Client(url: String(match.1))
                    _ = try await client.post(
                        "/v1/url/upgrade", #"{"urlKey":"k","versionCode":5,"devKey":"001122aabbcc"}"#)
                } else {
                    try execution.send(signal: .terminate)
                }
            }
            return lines
        }
        #expect(result.closureResult.last == "POST /v1/url/upgrade 001122aabbcc runs 5 → HTTP 200")
    }
}
