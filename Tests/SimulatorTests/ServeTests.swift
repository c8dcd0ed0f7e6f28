import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `upgradelink-sim serve`: where it listens, what it says, and how it ends.
@Suite struct ServeTests {
    private let scratch: Scratch
    private var program: Executable { .path(FilePath("\(programsDirectory)/upgradelink-sim")) }

    init() throws { scratch = try Scratch() }

    /// Starts the server, calls `body` with the lines up to the one that says where it listens, and ends it with SIGTERM.
    private func serve(
        _ arguments: [String], as executable: Executable? = nil, before: [String] = [],
        _ body: @Sendable ([String], Client) async throws -> Void
    ) async throws {
        let result = try await Subprocess.run(
            executable ?? program, arguments: .init(before + ["serve"] + arguments), input: .none, output: .sequence,
            error: .discarded
        ) { execution in
            var lines: [String] = []
            for try await line in execution.standardOutput.strings() {
                lines.append(line)
                guard let match = line.firstMatch(of: /Listening on ([^ ;]+)/) else { continue }
                try await body(lines, Client(url: String(match.1), accessKey: "access", secretKey: "secret"))
                try execution.send(signal: .terminate)
            }
            return lines.isEmpty
        }
        #expect(result.terminationStatus == .exited(0), "SIGTERM is how a service manager ends it")
        #expect(!result.closureResult)
    }

    private func release(_ code: Int, file: String = "player-2.tar", text: String = "") throws {
        let version = Version(
            versionCode: code, versionName: "\(code).0", file: file, upgradeType: 2, promptUpgradeContent: text)
        try Release(urlKey: "player", version: version).write(in: scratch.path)
    }

    private let check = #"{"urlKey":"player","versionCode":1}"#

    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1:8080"), ("0.0.0.0", "0.0.0.0:8480"), ("192.168.1.5", "192.168.1.5:8480"),
        (":80", "127.0.0.1:80"), ("localhost", "127.0.0.1:8480"), ("localhost:0", "127.0.0.1:0"),
        ("[::]:80", "[::]:80"), ("[::1]", "[::1]:8480"), ("::", "[::]:8480"), ("::1", "[::1]:8480"),
        ("[fe80::1]", "[fe80::1]:8480"), ("8481", "127.0.0.1:8481"), ("0", "127.0.0.1:0"),
    ])
    func addressesWithAndWithoutAPort(argument: String, meaning: String) {
        #expect(ListenAddress(argument)?.description == meaning)
        // A configuration may have another port.
        #expect(ListenAddress(argument, port: 90)?.description == meaning.replacing(":8480", with: ":90"))
    }

    @Test(arguments: [
        "", ":", "a:b", "host.example:80", "1.2.3:80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "[::1",
        "[1.2.3.4]:80", "[]:80", "::1:80:", "http://1.2.3.4:80", "::1:8481", "fe80::1", ":::80", "65536", "-1", "+80",
        "1.2.3.4:+80", "localhost:", "[::1]80",
    ])
    func otherAddressesAreRefused(argument: String) { #expect(ListenAddress(argument) == nil) }

    @Test func aDirectoryOfReleasesNeedsNoConfiguration() async throws {
        try await serve([scratch.path, "--listen", "127.0.0.1:0"]) { lines, client async throws in
            #expect(lines.count == 1 && lines[0].hasSuffix("(only from this machine; see --listen)"), "\(lines)")
            #expect(try await client.post("/v1/url/upgrade", check).code == 404_002)
            // A running server offers a version as soon as it is registered …
            try release(2, text: "\"New\" \\ two\nlines")
            var response = try await client.post("/v1/url/upgrade", check)
            #expect(response.code == 200 && response.field("versionName") == "2.0", "\(response.body)")
            #expect(response.body.contains(#""promptUpgradeContent":"\"New\" \\ two\nlines""#), "\(response.body)")
            #expect(response.field("urlPath")?.hasSuffix("\\/files\\/player-2.tar") == true)
            // … a changed one in its new form, and a removed one no longer.
            try release(2, file: "other.tar")
            response = try await client.post("/v1/url/upgrade", check)
            #expect(response.field("urlPath")?.hasSuffix("\\/files\\/other.tar") == true)
            try Files.remove("\(scratch.path)/player-2.release.toml")
            #expect(try await client.post("/v1/url/upgrade", check).code == 0)
        }
    }

    @Test func aRegistrationThatIsNotReadableAffectsOnlyItself() async throws {
        try release(2)
        try scratch.write("bad.release.toml", "urlKey = 3\n")
        mkfifo("\(scratch.path)/pipe.release.toml", 0o600)
        try await serve([scratch.path, "--listen", "127.0.0.1:0"]) { lines, client async throws in
            #expect(lines[0].contains("bad.release.toml: line 1, column 10: urlKey is not a string"), "\(lines)")
            #expect(
                lines[1].hasSuffix(
                    "/pipe.release.toml: it is a FIFO, not a regular file; this version is not offered"), "\(lines)")
            #expect(lines[2] == "Offers player 2.0 (code 2), silent")
            #expect(try await client.post("/v1/url/upgrade", check).code == 200)
        }
    }

    @Test func twoRegistrationsOfAVersionAreIndependent() async throws {
        try release(2)
        try scratch.write("copy.release.toml", try scratch.read("player-2.release.toml") + "# a copy\n")
        try await serve([scratch.path, "--listen", "127.0.0.1:0"]) { _, client async throws in
            #expect(try await client.post("/v1/url/upgrade", check).code == 200)
            try Files.remove("\(scratch.path)/copy.release.toml")
            #expect(try await client.post("/v1/url/upgrade", check).code == 200)
            try Files.remove("\(scratch.path)/player-2.release.toml")
            #expect(try await client.post("/v1/url/upgrade", check).code == 0)
        }
    }

    @Test func theConfigurationHasThePortOfAnAddressWithoutOne() async throws {
        try scratch.write("sim.toml", "port = 0\ndirectory = \"\(scratch.path)\"\nkeys = []\n")
        try await serve(["\(scratch.path)/sim.toml", "--listen", "127.0.0.2"]) { lines, client async throws in
            #expect(client.url.hasPrefix("http://127.0.0.2:") && !client.url.hasSuffix(":8480"), "\(lines)")
        }
    }

    @Test(arguments: [
        ("[::1]:0", "http://[::1]:"), ("localhost:0", "http://127.0.0.1:"), ("127.0.0.2:0", "http://127.0.0.2:"),
    ])
    func itListensWhereItIsTold(address: String, url: String) async throws {
        try release(2)
        try await serve([scratch.path, "--listen", address]) { lines, client async throws in
            #expect(client.url.hasPrefix(url), "\(lines)")
            let response = try await client.post("/v1/url/upgrade", check)
            // The address that the device used itself.
            let file = "\(client.url)/files/player-2.tar".replacing("/", with: "\\/")
            #expect(response.field("urlPath") == file, "\(response.body)")
        }
    }

    /// In a network of its own, because it listens on all addresses.
    @Test(.enabled(if: getuid() == 0, "it takes root"))
    func theAddressesForDevicesAreNamed() async throws {
        let network = """
            ip link set lo up && ip link add v0 type veth peer name v1 && ip address add 192.0.2.7/24 dev v0 && ip link set v0 up && exec "$0" "$@"
            """
        try await serve(
            [scratch.path, "--listen", "0.0.0.0:8080"], as: .name("unshare"),
            before: ["--net", "sh", "-c", network, "\(programsDirectory)/upgradelink-sim"]
        ) { lines, _ async throws in
            #expect(
                lines.last == "Listening on http://0.0.0.0:8080; devices reach it at http://192.0.2.7:8080", "\(lines)")
        }
    }

    @Test func aPublicURLIsThatOfTheFiles() async throws {
        try release(2)
        try await serve([scratch.path, "--listen", "127.0.0.1:0", "--public-url", "https://updates.example/"]) {
            lines, client async throws in
            #expect(lines.last?.hasSuffix("; devices reach it at https://updates.example") == true, "\(lines)")
            let response = try await client.post("/v1/url/upgrade", check)
            #expect(response.field("urlPath") == "https:\\/\\/updates.example\\/files\\/player-2.tar")
        }
    }

    @Test func theKeysOfTheDevicesCanBeSet() async throws {
        try await serve([scratch.path, "--listen", "127.0.0.1:0", "--access-key", "ak", "--secret-key", "sk"]) {
            _, client async throws in
            #expect(try await client.post("/v1/url/upgrade", check).code == 401_001)
            var client = client
            (client.accessKey, client.secretKey) = ("ak", "sk")
            #expect(try await client.post("/v1/url/upgrade", check).code == 404_002)
        }
    }

    // MARK: errors

    private func failure(_ arguments: [String]) async throws -> (status: TerminationStatus, error: String) {
        let result = try await Subprocess.run(
            program, arguments: .init(["serve"] + arguments), output: .string(limit: 65_536),
            error: .string(limit: 65_536))
        return (result.terminationStatus, result.standardError)
    }

    @Test func aUsedPortIsNamedWithARemedy() async throws {
        try await serve([scratch.path, "--listen", "127.0.0.1:0"]) { _, client async throws in
            let address = String(client.url.dropFirst("http://".count))
            let (status, error) = try await failure([scratch.path, "--listen", address])
            #expect(status == .exited(EX_UNAVAILABLE))
            #expect(
                error
                    == "cannot listen on \(address): another program uses the port: end it (ss -ltnp names it), or choose "
                    + "another port with --listen\n")
        }
    }

    @Test(arguments: [
        (
            ["--listen", "192.0.2.1:0"], EX_UNAVAILABLE,
            "cannot listen on 192.0.2.1:0: this machine has no such address"
        ),
        (["--listen", "somewhere:80"], EX_USAGE, "'somewhere:80' is invalid"),
        (["--listen", "127.0.0"], EX_USAGE, "'127.0.0' is invalid"),
        (["--listen", "127.0.0.1:65536"], EX_USAGE, "'127.0.0.1:65536' is invalid"),
        (["--listen", "::1:80"], EX_USAGE, "'::1:80' is invalid"),
        (["--listen", "::1:80"], EX_USAGE, "write ADDRESS, ADDRESS:PORT, [IPV6-ADDRESS]:PORT or PORT"),
        (["--public-url", "updates.example"], EX_USAGE, "--public-url updates.example is not a URL"),
        (["--public-url", "https://"], EX_USAGE, "--public-url https:// is not a URL"),
        (["--public-url", "http://a b"], EX_USAGE, "is not a URL"),
        (["--public-url", "http://updates.example:99999"], EX_USAGE, "is not a URL"),
        (["--public-url", "https://updates.example/?token=1"], EX_USAGE, "is not a URL"),
    ])
    func aWrongAddressIsRefused(arguments: [String], expected: CInt, message: String) async throws {
        let (status, error) = try await failure([scratch.path] + arguments)
        #expect(status == .exited(expected), "\(error)")
        #expect(error.contains(message), "\(error)")
    }

    @Test func aMissingFileIsNamedWithARemedy() async throws {
        let (status, error) = try await failure(["\(scratch.path)/absent"])
        #expect(status == .exited(EX_NOINPUT))
        #expect(
            error.hasPrefix("\(scratch.path)/absent: No such file or directory: name a directory of releases"),
            "\(error)")
        #expect(error.split(separator: "\n").count == 1)
    }

    @Test func aDirectoryOfTheConfigurationThatIsMissingIsNamed() async throws {
        try scratch.write("sim.toml", "directory = \"\(scratch.path)/artifacts\"\nkeys = []\n")
        let (status, error) = try await failure(["\(scratch.path)/sim.toml"])
        #expect(status == .exited(EX_NOINPUT))
        #expect(
            error
                == "cannot list \(scratch.path)/artifacts: No such file or directory: create it, or correct the key directory "
                + "of \(scratch.path)/sim.toml\n")
    }

    @Test(.enabled(if: getuid() == 0, "it takes root"))
    func aDirectoryThatThisUserMayNotReadIsNamed() async throws {
        let result = try await Subprocess.run(
            .name("setpriv"),
            arguments: [
                "--reuid=65534", "--regid=65534", "--clear-groups", "\(programsDirectory)/upgradelink-sim", "serve",
                scratch.path, "--listen", "0",
            ], output: .string(limit: 65_536), error: .string(limit: 65_536))
        #expect(result.terminationStatus == .exited(EX_NOPERM))
        #expect(
            result.standardError == "cannot list \(scratch.path): Permission denied: let this user read the directory\n"
        )
    }
}
