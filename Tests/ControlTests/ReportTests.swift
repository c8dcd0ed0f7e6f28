import Glibc
import Host
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `upgradelinkctl report` with the real agent. Tests/SystemTests runs it in a container.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct ReportTests {
    private let fixture: ControlFixture
    private var scratch: Scratch { fixture.device.scratch }

    init() async throws { fixture = try await ControlFixture() }

    private let secrets = """
        [server]
        proxy = "http://someone:proxy-pass-99@127.0.0.1:9"
        [device]
        devKeySalt = "salt-of-the-earth"
        [credentials]
        accessKey = "access-key-1234"
        """

    @Test func everySectionIsThereAndNoSecret() async throws {
        try await fixture.withAgent(changes: secrets) { bus, _, _ async throws in
            let path = "\(scratch.path)/report.txt"
            let run = try await ControlRun.of(
                ["report", "--output", path, "--root", scratch.path, "--lines", "20"], bus: bus)
            #expect(
                run.status == .exited(0) && run.output.hasPrefix("The report is in \(path). Read it before"), "\(run)")
            let text = try scratch.read("report.txt")
            for title in [
                "upgradelinkctl", "/etc/os-release", "systemd", "package", "upgradelinkctl config",
                "upgradelinkctl status",
                "upgradelinkctl history", "upgradelinkctl doctor", "units", "disk space of \(scratch.path)/state",
                "journal of this boot", "journal of the boot before",
            ] {
                #expect(text.contains("\n== \(title)\n") || text.hasPrefix("== \(title)\n"), "\(title) in \(text)")
            }
            #expect(text.contains("Installed:   v1 (code 1)") && text.contains("urlKey"), "\(text)")
            for secret in [AgentDevice.secret, "proxy-pass-99", "salt-of-the-earth", "access-key-1234"] {
                #expect(!text.contains(secret), "\(secret) in \(text)")
            }
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
            // It is never replaced without being asked, not even through a link.
            let again = try await ControlRun.of(["report", "--output", path, "--root", scratch.path], bus: bus)
            #expect(again.status == .exited(73) && again.error.contains("--force"), "\(again)")
            #expect(try scratch.read("report.txt") == text)
            let replaced = try await ControlRun.of(
                ["report", "--output", path, "--root", scratch.path, "--lines", "1", "--force"], bus: bus)
            #expect(replaced.status == .exited(0) && replaced.error.isEmpty, "\(replaced)")
        }
    }

    /// Not even if it is asked to replace.
    @Test func nothingButAFileIsReplaced() async throws {
        try fixture.device.configure(server: "http://127.0.0.1:1")
        func report(_ name: String, prefix: [String] = []) async throws -> ControlRun {
            try await ControlRun.of(
                ["report", "--force", "--output", "\(scratch.path)/\(name)", "--root", scratch.path, "--lines", "1"],
                bus: "unix:path=/nonexistent", prefix: prefix)
        }
        symlink("\(scratch.path)/etc/upgradelinkd/upgradelinkd.toml", "\(scratch.path)/link.txt")
        let link = try await report("link.txt")
        #expect(link.status == .exited(73) && link.error.contains("link.txt is a link"), "\(link)")
        #expect(Files.isLink("\(scratch.path)/link.txt"))
        #expect(try scratch.read("etc/upgradelinkd/upgradelinkd.toml").contains("[server]"))
        let directory = try await report("files")
        #expect(directory.status == .exited(73) && directory.error.contains("is not a regular file"), "\(directory)")
        #expect(scratch.exists("files/none"))
        // What a FIFO, or a device such as /dev/null, is for. The copy ends when the command closes its end.
        let fifo = "\(scratch.path)/fifo"
        mkfifo(fifo, 0o600)
        let written = try await report(
            "fifo", prefix: ["/bin/sh", "-c", "timeout 300 cat '\(fifo)' > '\(scratch.path)/copy' & exec \"$@\"", "sh"])
        #expect(written.status == .exited(0), "\(written)")
        #expect(await eventually { (try? scratch.read("copy"))?.contains("== journal of the boot before\n") == true })
        var status = stat()
        #expect(lstat(fifo, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
        chown(fifo, 65534, 65534)
        let planted = try await report("fifo")
        #expect(planted.status == .exited(73) && planted.error.contains("of another user"), "\(planted)")
    }

    /// Each file is right, but not all together: the effective configuration is shown, with the access key.
    @Test func aWrongConfigurationHasNoSecretsEither() async throws {
        try fixture.device.configure(
            server: "http://127.0.0.1:1",
            changes: secrets + """

                secretKeyFile = "/nonexistent"
                [install]
                healthProgram = ["/usr/bin/check", "--api-key", "argument-secret", "--password=other-secret"]
                [install.metaData]
                token = "token-in-a-table"
                pin = "77"
                note = "seen"
                mirror = "http://u:key-of-a-mirror@host/"

                """)
        let run = try await ControlRun.of(
            ["report", "--output", "-", "--root", scratch.path, "--lines", "5"], bus: "unix:path=/nonexistent")
        #expect(run.status == .exited(0), "\(run)")
        #expect(run.error.hasSuffix("Keys and passwords are replaced by ***.\n"), "\(run.error)")
        #expect(run.output.contains("found together with credentials.secretKey"), "\(run.output)")
        #expect(run.output.contains("accessKey = \"***\"") && run.output.contains("secrets: replaced by ***"))
        for secret in [
            AgentDevice.secret, "proxy-pass-99", "salt-of-the-earth", "access-key-1234", "argument-secret",
            "other-secret", "token-in-a-table", "\"77\"", "key-of-a-mirror",
        ] {
            #expect(!run.output.contains(secret), "\(secret) in \(run.output)")
        }
        #expect(run.output.contains("seen"), "\(run.output)")
    }

    @Test func withoutRightsOrAgentItSaysWhatIsMissing() async throws {
        try fixture.device.configure(server: "http://127.0.0.1:1", changes: secrets)
        let run = try await ControlRun.of(
            ["report", "--output", "-", "--root", scratch.path, "--lines", "5"], bus: "unix:path=/nonexistent",
            user: 65534)
        #expect(run.status == .exited(0) && run.error.hasPrefix("Read it before you send it"), "\(run)")
        #expect(run.output.contains("there is no system bus") && run.output.contains("exit status 77"), "\(run.output)")
        let file = "\(scratch.path)/etc/upgradelinkd/upgradelinkd.toml"
        #expect(run.output.contains("what is secret in these files cannot be read") && run.output.contains(file))
        #expect(run.error.contains("but not those in files that cannot be read: ") && run.error.contains(file))
    }
}
