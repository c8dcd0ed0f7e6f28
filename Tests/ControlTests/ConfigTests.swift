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
