import Glibc
import Host
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `upgradelinkctl config` needs no agent.
@Suite struct ConfigTests {
    private let device: AgentDevice
    private var scratch: Scratch { device.scratch }
    private var dropIn: String { "\(device.scratch.path)/etc/upgradelinkd/upgradelinkd.toml.d/test.toml" }

    init() async throws {
        device = try await AgentDevice()
        try device.configure(server: "http://127.0.0.1:1", changes: "[poll]\ninterval = \"5h\"")
    }

    private func config(_ arguments: String..., user: Int = 0) async throws -> ControlRun {
        try await ControlRun.of(["config", "--root", scratch.path] + arguments, bus: "", user: user)
    }

    @Test func theOutputIsTOMLThatNamesEachSource() async throws {
        let run = try await config()
        #expect(run.status == .exited(0))
        // Python's parser shares no code with this project.
        let parsed = try await Subprocess.run(
            .path("/usr/bin/python3"),
            arguments: [
                "-c",
                """
                import sys, tomllib
                values = tomllib.loads(sys.stdin.read())
                print(values["poll"]["interval"], values["download"]["sizeLimit"], values["install"]["files"]["link"])
                print(values["credentials"].get("secretKey"))
                """,
            ], input: .string(run.output), output: .string(limit: 4096), error: .string(limit: 4096))
        #expect(parsed.standardOutput == "5h 8G \(scratch.path)/live\nNone\n", "\(parsed.standardError)")
        let line = run.output.split(separator: "\n").first { $0.hasPrefix("interval") }
        #expect(line?.hasSuffix("# \(dropIn):2") == true, "\(run.output)")
        #expect(run.output.contains("# secretKey = ***") && !run.output.contains(AgentDevice.secret))
        let changed = try await config("--changed")
        #expect(changed.output.contains("interval = ") && !changed.output.contains("# default"), "\(changed.output)")
    }

    private struct Entry: Decodable {
        var key: String
        var file: String?
        var line: Int?
    }

    @Test func anOptionIsExplained() async throws {
        let run = try await config("poll.interval")
        for line in ["Option:    poll.interval", "Value:     \"5h\"", "Set by:    \(dropIn):2", "Default:   \"6h\""] {
            #expect(run.output.contains("\(line)\n"), "\(line) in \(run.output)")
        }
        let wrong = try await config("poll.intervall")
        #expect(wrong.status == .exited(64) && wrong.error.contains("did you mean poll.interval?"), "\(wrong)")
        let secret = try await config("credentials.secretKey")
        #expect(secret.output.contains("Value:     ***\n") && !secret.output.contains(AgentDevice.secret), "\(secret)")
    }

    @Test func jsonHasEveryOption() async throws {
        let run = try await config("--json=short")
        let entries = try JSONLine.decode([Entry].self, from: Array(run.output.utf8))
        #expect(entries.count > 60)
        let interval = entries.first { $0.key == "poll.interval" }
        #expect(interval?.file == dropIn && interval?.line == 2)
        for text in [
            #""key":"poll.interval","line":2,"value":"5h"}"#, #""key":"download.keepFree","line":18,"value":0}"#,
            #""value":{"link":"\#(scratch.path)/live"}}"#,
            #"{"file":null,"key":"server.proxy","line":null,"value":null}"#,
        ] {
            #expect(run.output.contains(text), "\(text) in \(run.output)")
        }
        #expect(run.output.contains("\"value\":\"***\"") && !run.output.contains(AgentDevice.secret))
        let one = try await config("--json=short", "poll.splay")
        #expect(try JSONLine.decode([Entry].self, from: Array(one.output.utf8)).map(\.key) == ["poll.splay"])
    }

    @Test func aLongListIsValidTOML() async throws {
        let names = (0..<2000).map { "\"unit-number-\($0).service\"" }.joined(separator: ", ")
        let text = String(repeating: "x", count: 30_000)
        try device.configure(
            server: "http://127.0.0.1:1",
            changes: "[install]\nhealthUnits = [\(names)]\nmetaData = { long = \"\(text)\" }")
        let run = try await config()
        let parsed = try await Subprocess.run(
            .path("/usr/bin/python3"),
            arguments: [
                "-c",
                """
                import sys, tomllib
                values = tomllib.loads(sys.stdin.read())["install"]
                print(values["healthUnits"][1999], len(values["metaData"]["long"]))
                """,
            ], input: .string(run.output), output: .string(limit: 4096), error: .string(limit: 4096))
        #expect(parsed.standardOutput == "unit-number-1999.service 30000\n", "\(parsed.standardError)")
        #expect(run.output.contains("healthUnits = [") && run.output.contains("\n    \"unit-number-1.service\",\n"))
    }

    @Test func valuesThatJSONDoesNotHave() async throws {
        try device.configure(
            server: "http://127.0.0.1:1",
            changes: """
                [server]
                proxy = "http://u:w0rd@h"
                [install]
                metaData = { a = inf, b = [nan, 1.5], "http://u:w0rd@k/" = 1 }
                """)
        let json = try await config("--json=short")
        #expect(
            json.output.contains(#""value":{"a":null,"b":[null,1.5],"http://***@k/":1}}"#)
                && json.output.contains(#""value":"http://***@h"}"#), "\(json.output)")
        for run in [json, try await config(), try await config("server.proxy"), try await config("install.metaData")] {
            #expect(!run.output.contains("w0rd") && !run.output.contains("\\/"), "\(run.output)")
        }
        #expect(try await config("server.proxy").output.contains("Value:     \"http://***@h\"\n"))
    }

    /// A user may not read the keys, which this command does not need, or one of the files.
    @Test(.enabled(if: getuid() == 0, "other users need root")) func missingRightsHideNoError() async throws {
        try device.configure(server: "http://127.0.0.1:1", changes: "[poll]\ninterval = 0")
        try Files.createDirectory("\(scratch.path)/etc/upgradelinkd/keys.d", mode: 0o700)
        for path in ["", "/etc", "/etc/upgradelinkd", "/etc/upgradelinkd/upgradelinkd.toml.d"] {
            chmod(scratch.path + path, 0o755)
        }
        chmod("\(scratch.path)/etc/upgradelinkd/upgradelinkd.toml", 0o644)
        chmod(dropIn, 0o644)
        let wrong = try await config(user: 65534)
        #expect(wrong.status == .exited(78) && wrong.error.contains("poll.interval: found the number 0"), "\(wrong)")
        let secret = try scratch.write("etc/upgradelinkd/upgradelinkd.toml.d/secret.toml", "", mode: 0o600)
        let both = try await config(user: 65534)
        let lines = both.error.split(separator: "\n")
        #expect(both.status == .exited(77) && lines.count == 2, "\(both)")
        #expect(lines.first == "needs root: \(secret) cannot be read by this user", "\(both)")
        #expect(lines.last?.contains("poll.interval: found the number 0") == true, "\(both)")
        let doctor = try await ControlRun.of(["doctor", "--root", scratch.path], bus: "", user: 65534)
        #expect(doctor.status == .exited(77) && doctor.output.isEmpty, "\(doctor)")
        #expect(doctor.error.hasPrefix("upgradelinkctl doctor needs root, because this user cannot read "), "\(doctor)")
    }

    @Test func errorsAndMissingRightsHaveStatusesOfTheirOwn() async throws {
        try device.configure(server: "http://127.0.0.1:1", changes: "[poll]\ninterval = 5.5.5")
        #expect(try await config().status == .exited(78))
        try device.configure(server: "http://127.0.0.1:1", changes: "[poll]\nintervall = 5\n[instal]\nx = 1")
        let both = try await config()
        #expect(both.status == .exited(78) && both.error.split(separator: "\n").count == 2, "\(both)")
        guard getuid() == 0 else { return }
        chmod(scratch.path, 0o755)
        let denied = try await config(user: 65534)
        #expect(denied.status == .exited(77) && denied.error.hasPrefix("needs root: "), "\(denied)")
    }
}
