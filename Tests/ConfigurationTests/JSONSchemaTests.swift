import Host
import TestSupport
import Testing

@testable import Configuration

/// The JSON schema accepts the project's configurations and refuses wrong ones. The validator is Debian's python3-jsonschema.
@Suite struct JSONSchemaTests {
    private static let script = """
        import json, sys, tomllib, jsonschema
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft7Validator.check_schema(schema)
        validator = jsonschema.Draft7Validator(schema)
        for name in sys.argv[2:]:
            errors = sorted(validator.iter_errors(tomllib.load(open(name, "rb"))), key=str)
            print("valid" if not errors else "; ".join(f"{'.'.join(map(str, e.path))}: {e.validator}" for e in errors))
        """

    /// - Returns: a line for each document.
    private func validate(_ texts: [String]) async throws -> [String] {
        let scratch = try Scratch()
        let files = try texts.enumerated().map { try scratch.write("\($0).toml", $1) }
        let run = await Program(
            "/usr/bin/python3",
            ["-c", Self.script, "\(repositoryDirectory)/config/upgradelinkd.schema.json"] + files, streams: .captured,
            timeLimit: 60
        ).run()
        #expect(run.end == .exited(0) && run.lines.count == texts.count, "\(run.errors) \(run.lines)")
        return run.lines
    }

    private func read(_ name: String) throws -> String {
        String(decoding: try Files.read("\(repositoryDirectory)/\(name)", limit: 1 << 20), as: UTF8.self)
    }

    @Test func theProjectsConfigurationsAreValid() async throws {
        let shipped = try read("config/upgradelinkd.toml")
        let enabled = shipped.split(separator: "\n").map { line in
            line.hasPrefix("#") && line.dropFirst().first?.isLetter == true ? String(line.dropFirst()) : String(line)
        }.joined(separator: "\n")
        #expect(Fragment(file: "f", bytes: Array(enabled.utf8)).errors == [])
        #expect(Fragment(file: "f", bytes: Array(enabled.utf8)).values.count == Schema.options.count)
        var texts = [shipped, enabled, try read("config/vendor.toml")]
        // What is indented or fenced in a document, and is a configuration of the agent.
        for name in try Files.list("\(repositoryDirectory)/docs").map({ "docs/\($0)" }) + ["README.md"]
        where name.hasSuffix(".md") {
            texts += Self.examples(try read(name))
        }
        #expect(texts.count > 3)
        let page = try read("packaging/man/upgradelinkd.toml.5")
        let example = try #require(page.split(separator: ".SH EXAMPLES\n.nf\n").last?.split(separator: "\n.fi\n").first)
        #expect(example.hasPrefix("verification.keys = "))
        texts.append(String(example))
        for (text, line) in zip(texts, try await validate(texts)) { #expect(line == "valid", "\(text)") }
    }

    /// The blocks of a document that are TOML and set an option.
    private static func examples(_ page: String) -> [String] {
        var blocks: [String] = []
        var block: [Substring] = []
        for line in "\(page)\n".split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("    ") {
                block.append(line.dropFirst(4))
            } else if !block.isEmpty {
                blocks.append(block.joined(separator: "\n"))
                block = []
            }
        }
        blocks += page.split(separator: "```toml\n").dropFirst().compactMap {
            $0.split(separator: "```").first.map(String.init)
        }
        return blocks.filter { text in
            let fragment = Fragment(file: "f", bytes: Array(text.utf8))
            return !fragment.isIncomplete && (!fragment.values.isEmpty || !fragment.attempted.isEmpty)
        }
    }

    @Test func wrongConfigurationsAreNot() async throws {
        let texts = [
            "x = 1", "poll = 5", "[pole]", "poll.intervall = \"6h\"", "poll.interval = \"fast\"", "poll.interval = 0",
            "poll.interval = true", "poll.interval = \"6 hours\"", "server.url = \"ftp://x\"", "server.url = \"\"",
            "server.caBundle = \"relative\"", "server.proxy = \"proxy.example:3128\"",
            "credentials.accessKey = \"a\\r\\nb\"", "download.beforeConsent = \"yes\"", "download.sizeLimit = \"big\"",
            "download.nice = 20", "download.nice = -1", "download.ioClass = \"best\"", "verification.mode = \"gpg\"",
            "verification.keys = [7]", "verification.keys = \"RW\"", "install.files = { a = 1 }",
            "install.attempts = 0",
            "install.timeouts = { ArtifactInstall = \"soon\" }", "install.metaData = []", "device.versionCode = 0",
            "server.proxy = \"ftp://p:1\"", "server.url = \"http://h:x\"", "server.url = \"http://[::1\"",
            "metrics.file = \"/x/y\"", "metrics.file = \"/x/.prom\"", "install.rebootCommand = []",
            "install.rebootCommand = [\"reboot\"]", "install.healthProgram = [\"check\"]", "install.module = \"a/b\"",
            "install.module = \"..\"", "install.fileName = \"\"", "install.files = { \"a/b\" = \"c\" }",
            "install.healthUnits = [\"a\"]", "install.restartUnits = [\"--x.service\"]",
            "install.windows = [\"bogus\"]",
            "install.windows = [\"Mon 2:00-3:00\"]", "install.timeouts = { ArtifactInstal = \"1h\" }",
            "install.moduleDirectories = [\"relative\"]", "install.moduleDirectories = []", "poll.interval = \"1 30\"",
            "state.directory = 2020-01-01", "install.reboot = \"never\"", "download.sizeLimit = 0",
        ]
        for (text, line) in zip(texts, try await validate(texts)) {
            #expect(line != "valid", "\(text)")
            // The agent refuses it too.
            #expect(!Fragment(file: "f", bytes: Array(text.utf8)).errors.isEmpty, "\(text)")
        }
    }

    @Test func otherFormsOfAValueAreValid() async throws {
        let texts = [
            "poll.interval = 90", "poll.interval = 90.5", "poll.interval = \"1h 30min\"", "poll.interval = \"1h30min\"",
            "poll.interval = \" 2 d \"", "download.sizeLimit = 65536", "download.sizeLimit = \"1.5M\"",
            "download.speedLimit = \"1KiB\"", "server.url = \"HTTPS://user:password@h:1/x?y\"",
            "server.url = \"http://[::1]:8480\"", "server.proxy = \"socks5h://u:p%40@h:1\"",
            "install.healthProgram = []",
            "install.healthProgram = [\"/bin/check\", \"x\"]", "install.restartUnits = [\"\", \"a@b.service\"]",
            "install.windows = [\"Mon-Fri 02:00-05:00\", \"Sat,Sun 23:00-24:00\", \"03:30-04:30\"]",
            "metrics.file = \"/run/x/y.prom\"", "install.files = { \"a.b\" = \"c/d\" }", "poll.interval = \"1h 30\"",
            "install.metaData = { a = [1, { b = 2 }] }", "install.timeouts = { ArtifactInstall = 5, Cleanup = \"1h\" }",
        ]
        for (text, line) in zip(texts, try await validate(texts)) {
            #expect(line == "valid", "\(text)")
            #expect(Fragment(file: "f", bytes: Array(text.utf8)).errors.isEmpty, "\(text)")
        }
    }
}
