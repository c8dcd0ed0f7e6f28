import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `upgradelink-sim release`, with real tar and real minisign.
@Suite struct ReleaseTests {
    private let scratch: Scratch

    init() async throws {
        scratch = try Scratch()
        try await execute("minisign", ["-G", "-W", "-p", "release.pub", "-s", "release.key"], in: scratch.path)
        try scratch.write("player/bin/play", "#!/bin/sh\n", mode: 0o700)
        try scratch.write("player/etc/options", "a=1\n")
        try scratch.write("player/version", "VERSION=1.0\nVERSION_CODE=1\n")
    }

    private struct Output {
        var status: TerminationStatus
        var output: String
        var error: String
    }

    private func release(
        _ arguments: String..., key: String? = "release.key", in directory: String? = nil
    ) async throws -> Output {
        try await run(["release"] + arguments + (key.map { ["--key", $0] } ?? []), in: directory)
    }

    private func run(
        _ arguments: [String], in directory: String? = nil, variables: [Environment.Key: String?] = [:]
    ) async throws -> Output {
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelink-sim")), arguments: .init(arguments),
            environment: .inherit.updating(variables), workingDirectory: FilePath(directory ?? scratch.path),
            input: .none, output: .string(limit: 65_536), error: .string(limit: 65_536))
        return Output(
            status: result.terminationStatus, output: result.standardOutput, error: result.standardError)
    }

    private typealias Environment = Subprocess.Environment

    private func archive(_ options: String, _ name: String = "releases/player-2.tar") async throws -> String {
        try await execute("tar", ["--numeric-owner", "--utc", options, name], in: scratch.path)
    }

    @Test func aDirectoryIsPackedSignedAndRegistered() async throws {
        let result = try await release(
            "player", "--version-code", "2", "--version-name", "2.0", "--version-file", "version", "--type", "prompt",
            "--text", "New: subtitles")
        #expect(result.status == .exited(0), "\(result.error)")
        #expect(result.error == "")
        #expect(
            result.output.split(separator: "\n").map(String.init) == [
                "Packed player; version says VERSION_CODE=2", "Signed with release.key: urlKey=player versionCode=2",
                "Released player 2.0 (code 2), prompt: releases/player-2.tar, 10 kB",
            ], "\(result.output)")
        #expect(
            try Files.list("\(scratch.path)/releases") == [
                "player-2.release.toml", "player-2.tar", "player-2.tar.minisig",
            ])
        // minisign verifies it, and its comment is what devices check.
        let verified = try await execute(
            "minisign", ["-V", "-p", "release.pub", "-m", "releases/player-2.tar"], in: scratch.path)
        #expect(verified.contains("Trusted comment: urlKey=player versionCode=2"), "\(verified)")
        // The archive has the version; the directory is as it was.
        #expect(try await archive("-xOf").contains("VERSION=\"2.0\"\nVERSION_CODE=2\n"))
        #expect(try scratch.read("player/version") == "VERSION=1.0\nVERSION_CODE=1\n")
        #expect(
            try scratch.read("releases/player-2.release.toml").contains("promptUpgradeContent = \"New: subtitles\""))
    }

    @Test func anArchiveDoesNotDependOnWhoPacksItAndWhen() async throws {
        for code in ["2", "3"] {
            try scratch.write("player/version", "VERSION_CODE=\(code)\n")
            #expect(try await release("player", "--version-code", code).status == .exited(0))
        }
        let names = try await archive("-tvf")
        let lines = names.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(
            lines == [
                "drwxr-xr-x 0/0 0 2000-01-01 00:00 ./", "drwxr-xr-x 0/0 0 2000-01-01 00:00 ./bin/",
                "-rwxr-xr-x 0/0 10 2000-01-01 00:00 ./bin/play", "drwxr-xr-x 0/0 0 2000-01-01 00:00 ./etc/",
                "-rw-r--r-- 0/0 4 2000-01-01 00:00 ./etc/options", "-rw-r--r-- 0/0 15 2000-01-01 00:00 ./version",
            ], "\(names)")
        // Another directory with the same content, made in another order.
        try scratch.write("copy/version", "VERSION_CODE=2\n", mode: 0o664)
        try scratch.write("copy/etc/options", "a=1\n", mode: 0o644)
        try scratch.write("copy/bin/play", "#!/bin/sh\n", mode: 0o755)
        #expect(
            try await release("copy", "--version-code", "2", "--url-key", "player", "--into", "others").status
                == .exited(0))
        try await execute("cmp", ["releases/player-2.tar", "others/player-2.tar"], in: scratch.path)
        let dated = try await run(
            ["release", "copy", "--version-code", "2", "--url-key", "dated", "--key", "release.key"],
            variables: ["SOURCE_DATE_EPOCH": "86400"])
        #expect(dated.status == .exited(0))
        #expect(try await archive("-tvf", "releases/dated-2.tar").contains("1970-01-02 00:00 ./version"))
    }

    // MARK: the version file

    @Test func contentOfAnotherVersionIsRefused() async throws {
        let result = try await release("player", "--version-code", "2")
        #expect(result.status == .exited(EX_DATAERR))
        #expect(
            result.error
                == "player/version says VERSION_CODE=1, and this is version 2: correct the file, or let this command "
                + "write it into the archive: --version-file version\n")
        #expect(try Files.list("\(scratch.path)/releases") == [], "nothing is left behind")
    }

    @Test func contentWithoutAVersionIsWarnedAbout() async throws {
        try Files.remove("\(scratch.path)/player/version")
        let result = try await release("player", "--version-code", "2")
        #expect(result.status == .exited(0))
        #expect(result.error.hasPrefix("warning: player has no file with the line VERSION_CODE=2. "), "\(result.error)")
        #expect(result.error.contains("add --version-file version"))
        // The file is found wherever it is, in every form that the agent accepts.
        try scratch.write("player/etc/deep/about", "export VERSION_CODE = '3' # three\n")
        let found = try await release("player", "--version-code", "3")
        #expect(found.error == "" && found.output.hasPrefix("Packed player; etc/deep/about says VERSION_CODE=3\n"))
    }

    @Test func theVersionFileMayBeInADirectoryThatIsNotThere() async throws {
        let result = try await release("player", "--version-code", "2", "--version-file", "share/about/version")
        #expect(result.status == .exited(0), "\(result.error)")
        let names = try await archive("-tf").split(separator: "\n").compactMap { $0.split(separator: " ").last }
        #expect(names.contains("./share/about/version") && names.contains("./version"), "\(names)")
    }

    // MARK: files

    @Test func aFileIsTakenAsItIs() async throws {
        try scratch.write("app.img.xz", "not an archive")
        let result = try await release("app.img.xz", "--version-code", "7", "--url-key", "app", "--type", "forced")
        #expect(result.status == .exited(0), "\(result.error)")
        #expect(result.error.contains("the update must change that file too"))
        #expect(try scratch.read("releases/app-7.img.xz") == "not an archive")
        #expect(try scratch.read("releases/app-7.release.toml").contains("upgradeType = 3"))
        try scratch.write("player_2.0_all.deb", "deb")
        #expect(
            try await release("player_2.0_all.deb", "--version-code", "8", "--url-key", "app").output.contains(
                "releases/app-8.deb"))
    }

    // MARK: keys

    @Test func aMissingKeyNamesTheCommandThatMakesIt() async throws {
        let result = try await release("player", "--version-code", "2", "--version-file", "version", key: "my.key")
        #expect(result.status == .exited(EX_NOINPUT))
        #expect(
            result.error == "there is no secret key my.key: make one with minisign -G -p my.pub -s my.key\n")
        let usual = try await run(
            ["release", "player", "--version-code", "2", "--version-file", "version"],
            variables: ["HOME": scratch.path, "MINISIGN_CONFIG_DIR": nil])
        #expect(
            usual.error
                == "there is no secret key \(scratch.path)/.minisign/minisign.key: make one with minisign -G, or name one with --key\n"
        )
    }

    /// Runs a program on a terminal of its own, and answers each question for a password.
    private static let answering = """
        import os, pty, sys, termios, time
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp(sys.argv[2], sys.argv[2:])
        seen = b""
        while True:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            sys.stdout.buffer.write(data)
            seen += data
            if seen.rstrip().endswith(b":") and b"assword" in seen.splitlines()[-1]:
                # minisign discards what comes before it has switched the echo off.
                while termios.tcgetattr(terminal)[3] & termios.ECHO:
                    time.sleep(0.01)
                os.write(terminal, sys.argv[1].encode() + b"\\n")
                seen = b""
        sys.stdout.flush()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """

    @Test func aKeyWithAPasswordWorks() async throws {
        func onTerminal(_ password: String, _ command: [String]) async throws -> String {
            try await execute("python3", ["-c", Self.answering, password] + command, in: scratch.path)
        }
        _ = try await onTerminal("open", ["minisign", "-G", "-p", "secret.pub", "-s", "secret.key"])
        let release = [
            "\(programsDirectory)/upgradelink-sim", "release", "player", "--version-code", "2", "--version-file",
            "version", "--key", "secret.key",
        ]
        let output = try await onTerminal("open", release)
        #expect(output.contains("Password:") && output.contains("Released player 2 (code 2)"), "\(output)")
        let before = try scratch.read("releases/player-2.tar.minisig")
        await #expect(throws: Publisher.Failure.self) { try await onTerminal("wrong", release + ["--replace"]) }
        #expect(try scratch.read("releases/player-2.tar.minisig") == before)
        try await execute("minisign", ["-V", "-p", "secret.pub", "-m", "releases/player-2.tar"], in: scratch.path)
        #expect(try Files.list("\(scratch.path)/releases").count == 3, "nothing is left behind")
    }

    // MARK: faults

    @Test func aReleasedVersionIsReplacedOnlyOnRequest() async throws {
        #expect(try await release("player", "--version-code", "1").status == .exited(0))
        let again = try await release("player", "--version-code", "1")
        #expect(again.status == .exited(EX_USAGE))
        #expect(again.error.contains("player 1 is released already (releases/player-1.release.toml)"), "\(again.error)")
        #expect(try await release("player", "--version-code", "1", "--replace").status == .exited(0))
    }

    @Test func wrongArgumentsAreRefusedWithARemedy() async throws {
        #expect(try await release("absent", "--version-code", "1").status == .exited(EX_NOINPUT))
        let inside = try await release("player", "--version-code", "1", "--into", "player/releases")
        #expect(inside.status == .exited(EX_USAGE) && inside.error.contains("choose another directory with --into"))
        for arguments in [
            ["--version-code", "0"], ["--version-code", "1", "--version-file", "../version"],
            ["--version-code", "1", "--url-key", "a/b"], ["--version-code", "1", "--module", "file"],
            ["--version-code", "1", "--type", "loud"],
        ] {
            let result = try await run(["release", "player", "--key", "release.key"] + arguments)
            #expect(result.status == .exited(EX_USAGE), "\(arguments): \(result.error)")
        }
        // The directory itself can be named from inside.
        let here = try await release(
            ".", "--version-code", "1", "--into", "../releases", key: "../release.key", in: "\(scratch.path)/player")
        #expect(here.output.contains("Released player 1 (code 1)"), "\(here.error)")
    }

    @Test func aFailureReleasesNothing() async throws {
        try scratch.write("broken.key", "not a key\n")
        let result = try await release("player", "--version-code", "1", key: "broken.key")
        #expect(result.status == .exited(EX_UNAVAILABLE))
        #expect(result.error.contains("minisign could not sign with broken.key: exit status "), "\(result.error)")
        #expect(try Files.list("\(scratch.path)/releases") == [])
        let without = try await run(
            ["release", "player", "--version-code", "1", "--key", "release.key"], variables: ["PATH": "/nonexistent"])
        #expect(without.status == .exited(EX_UNAVAILABLE) && without.error.contains("tar"), "\(without.error)")
    }
}
