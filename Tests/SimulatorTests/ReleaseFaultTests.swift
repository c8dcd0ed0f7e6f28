import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// What `upgradelink-sim release` refuses, and what is left of one that is interrupted.
@Suite struct ReleaseFaultTests {
    private typealias Environment = Subprocess.Environment
    private let scratch: Scratch
    private var program: String { "\(programsDirectory)/upgradelink-sim" }

    init() async throws {
        scratch = try Scratch()
        try await execute("minisign", ["-G", "-W", "-p", "release.pub", "-s", "release.key"], in: scratch.path)
        try scratch.write("player/version", "VERSION=1.0\nVERSION_CODE=1\n")
        try scratch.write("player/etc/options", "a=1\n")
    }

    private func release(
        _ source: String, _ arguments: String..., in directory: String? = nil
    ) async throws -> (status: TerminationStatus, error: String) {
        let result = try await Subprocess.run(
            .path(FilePath(program)),
            arguments: .init(["release", source, "--key", "\(scratch.path)/release.key"] + arguments),
            workingDirectory: FilePath(directory ?? scratch.path), input: .none, output: .discarded,
            error: .string(limit: 65_536))
        return (result.terminationStatus, result.standardError)
    }

    private func names(_ directory: String = "releases") throws -> [String] {
        try Files.list("\(scratch.path)/\(directory)")
    }

    // MARK: content that devices refuse

    @Test(arguments: ["etc", "link", "pipe", "broken", "version/deep", "way/version"])
    func onlyARegularFileBecomesTheVersionFile(path: String) async throws {
        symlink("version", "\(scratch.path)/player/link")
        symlink("nothing", "\(scratch.path)/player/broken")
        symlink("etc", "\(scratch.path)/player/way")
        if path == "pipe" { mkfifo("\(scratch.path)/player/pipe", 0o600) }
        let result = try await release("player", "--version-code", "2", "--version-file", path)
        #expect(result.status == .exited(EX_DATAERR), "\(result.error)")
        #expect(result.error.contains("player/"), "\(result.error)")
        #expect(try names() == [])
    }

    @Test(arguments: ["pipe", "socket", "device"]) func whatNoDeviceInstallsIsNotPacked(kind: String) async throws {
        let path = "\(scratch.path)/player/etc/special"
        switch kind {
        case "pipe": mkfifo(path, 0o600)
        case "socket":
            try await execute(
                "python3", ["-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path])
        default:
            // This takes root, and the right to make devices.
            guard mknod(path, S_IFCHR | 0o600, 0x103) == 0 else { return }
        }
        let result = try await release("player", "--version-code", "1")
        #expect(result.status == .exited(EX_DATAERR), "\(result.error)")
        #expect(result.error.hasPrefix("player/etc/special is a \(kind): "), "\(result.error)")
        #expect(try names() == [])
    }

    @Test func anArchiveIsExamined() async throws {
        try scratch.write("text.tar", "not an archive\n")
        try scratch.write("empty.tar", "")
        mkfifo("\(scratch.path)/pipe", 0o600)
        try await execute("tar", ["-czf", "pipe.tar.gz", "pipe", "player"], in: scratch.path)
        try await execute("tar", ["-czf", "good.tar.gz", "-C", "player", "."], in: scratch.path)
        for (file, reason) in [
            ("text.tar", "text.tar is no archive that tar can unpack"), ("empty.tar", "empty.tar is no archive"),
            ("pipe.tar.gz", "pipe.tar.gz has a device or a pipe: prw"),
        ] {
            let result = try await release(
                file, "--version-code", "2", "--module", "directory", "--url-key", "player")
            #expect(result.status == .exited(EX_DATAERR), "\(file): \(result.error)")
            #expect(result.error.hasPrefix(reason), "\(result.error)")
        }
        #expect(try names() == [])
        let good = try await release(
            "good.tar.gz", "--version-code", "2", "--module", "directory", "--url-key", "player")
        #expect(good.status == .exited(0), "\(good.error)")
        #expect(try names() == ["player-2.release.toml", "player-2.tar.gz", "player-2.tar.gz.minisig"])
    }

    // MARK: names

    @Test func everyAcceptedKeyGivesAFileThatCanBeDownloaded() async throws {
        for key in ["a..b", "a.", "A_1-x"] {
            let result = try await release("player", "--version-code", "1", "--url-key", key)
            #expect(result.status == .exited(0), "\(result.error)")
        }
        let configuration = SimulatorConfiguration(
            directory: "\(scratch.path)/releases", keys: [KeyPair(accessKey: "ak", secretKey: "sk")], applications: [])
        try await SimulatedServer.run(configuration) { server async throws in
            for release in await server.releases {
                let response = try await Client(url: server.url).get("/files/\(release.version.file)", ["-r", "0-0"])
                #expect(response.status == 206, "\(release.version.file)")
            }
            #expect(await server.releases.count == 3)
        }
    }

    @Test(arguments: ["app.release.toml", "app.release.toml.new", "app.minisig", "app.img.minisig"])
    func theArtifactHasANameOfItsOwn(name: String) async throws {
        try scratch.write(name, "content")
        let result = try await release(name, "--version-code", "2", "--url-key", "app")
        #expect(result.status == .exited(EX_USAGE), "\(result.error)")
        #expect(result.error.hasPrefix("\(name) has a name with ."), "\(result.error)")
        #expect(!scratch.exists("releases"))
    }

    @Test(arguments: ["", " ", "a\u{1}b", "\u{7F}", "a\tb", "\u{85}", "a\u{2028}b", "a\"b", "a\\b", "a\nb"])
    func aVersionNameIsOneReadableLine(name: String) async throws {
        let result = try await release("player", "--version-code", "1", "--version-name", name)
        #expect(result.status == .exited(EX_USAGE), "\(result.error)")
    }

    @Test func aRefusedDirectoryIsNotChanged() async throws {
        for into in [[], ["--into", "releases/more"], ["--into", "../player/releases/"]] {
            let result = try await Subprocess.run(
                .path(FilePath(program)),
                arguments: .init(["release", ".", "--version-code", "1", "--key", "../release.key"] + into),
                workingDirectory: FilePath("\(scratch.path)/player"), input: .none, output: .discarded,
                error: .string(limit: 65_536))
            #expect(result.terminationStatus == .exited(EX_USAGE), "\(into): \(result.standardError)")
        }
        #expect(!scratch.exists("player/releases"))
    }

    // MARK: replacement

    @Test func theFilesOfAReplacedVersionAreRemoved() async throws {
        for (file, expected) in [("app.img", "app-7.img"), ("app.bin", "app-7.bin")] {
            try scratch.write(file, file)
            let result = try await release(file, "--version-code", "7", "--url-key", "app", "--replace")
            #expect(result.status == .exited(0), "\(result.error)")
            #expect(try names() == [expected, "\(expected).minisig", "app-7.release.toml"].sorted())
        }
        // Another version may have the same artifact.
        let copy = try scratch.read("releases/app-7.release.toml").replacing("urlKey = \"app\"", with: "urlKey = \"b\"")
        try scratch.write("releases/other.release.toml", copy)
        #expect(
            try await release("app.img", "--version-code", "7", "--url-key", "app", "--replace").status == .exited(0))
        #expect(scratch.exists("releases/app-7.bin") && scratch.exists("releases/app-7.img"))
    }

    /// Otherwise a device would find one version's artifact with the other's signature.
    @Test func aVersionIsWithdrawnBeforeItsFilesAreReplaced() async throws {
        try scratch.write("app.img", "content")
        #expect(try await release("app.img", "--version-code", "7", "--url-key", "app").status == .exited(0))
        // The artifact cannot get its name; the signature can.
        try Files.remove("\(scratch.path)/releases/app-7.img")
        try Files.createDirectory("\(scratch.path)/releases/app-7.img")
        let result = try await release("app.img", "--version-code", "7", "--url-key", "app", "--replace")
        #expect(result.status == .exited(EX_CANTCREAT))
        #expect(
            result.error.contains("; app 7 is not offered any more: remove the cause, and release it again"),
            "\(result.error)")
        #expect(!scratch.exists("releases/app-7.release.toml"))
    }

    // MARK: interruptions

    /// Starts a release whose tar does not end, and calls `body` once it runs.
    private func hanging(
        _ body: @Sendable (_ program: pid_t, _ tar: pid_t) async throws -> Void
    ) async throws -> TerminationStatus {
        try scratch.write("bin/tar", "#!/bin/sh\necho $$ >'\(scratch.path)/tar.pid'\nexec sleep 1000\n", mode: 0o755)
        try Files.remove("\(scratch.path)/tar.pid")
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return try await Subprocess.run(
            .path(FilePath(program)), arguments: ["release", "player", "--version-code", "1", "--key", "release.key"],
            environment: .inherit.updating(["PATH": "\(scratch.path)/bin:\(path)"]),
            workingDirectory: FilePath(scratch.path), input: .none, output: .discarded, error: .discarded
        ) { execution in
            let tar = { () -> pid_t? in
                (try? scratch.read("tar.pid")).flatMap { $0.hasSuffix("\n") ? pid_t($0.dropLast()) : nil }
            }
            #expect(await eventually { tar() != nil })
            try await body(execution.processIdentifier.value, try #require(tar()))
        }.terminationStatus
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func aSignalLeavesNothingBehind(number: CInt) async throws {
        let status = try await hanging { program, tar async throws in
            #expect(try names().count == 1)
            kill(program, number)
            #expect(await eventually { kill(tar, 0) != 0 && errno == ESRCH })
        }
        #expect(status == .exited(128 + number))
        #expect(try names() == [])
    }

    @Test func theNextReleaseRemovesWhatAKilledOneLeft() async throws {
        let status = try await hanging { program, tar async throws in
            // A release that still runs is left alone.
            #expect(try await release("player", "--version-code", "1", "--url-key", "other").status == .exited(0))
            #expect(try names().filter { $0.hasPrefix(".release.") }.count == 1)
            kill(program, SIGKILL)
            kill(tar, SIGKILL)
        }
        #expect(status == .signaled(SIGKILL))
        #expect(try names().filter { $0.hasPrefix(".release.") }.count == 1)
        try scratch.write("releases/.release.notes", "")
        #expect(try await release("player", "--version-code", "1").status == .exited(0))
        #expect(
            try names() == [
                ".release.notes", "other-1.release.toml", "other-1.tar", "other-1.tar.minisig", "player-1.release.toml",
                "player-1.tar", "player-1.tar.minisig",
            ])
    }

    @Test func aReleaseIsCompletedIfItsOutputIsNotRead() async throws {
        let script = """
            import os, subprocess, sys
            reading, writing = os.pipe()
            os.close(reading)
            sys.exit(subprocess.call(sys.argv[1:], stdout=writing))
            """
        try await execute(
            "python3", ["-c", script, program, "release", "player", "--version-code", "1", "--key", "release.key"],
            in: scratch.path)
        #expect(try names() == ["player-1.release.toml", "player-1.tar", "player-1.tar.minisig"])
    }
}
