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
            symlink("\(scratch.path)/etc/upgradelinkd/upgradelinkd.toml", "\(scratch.path)/link.txt")
            let link = ["report", "--output", "\(scratch.path)/link.txt", "--root", scratch.path, "--lines", "1"]
            #expect(try await ControlRun.of(link, bus: bus).status == .exited(73))
            #expect(try await ControlRun.of(link + ["--force"], bus: bus).status == .exited(0))
            #expect(try scratch.read("etc/upgradelinkd/upgradelinkd.toml").contains("[server]"))
        }
    }

    @Test func withoutRightsOrAgentItSaysWhatIsMissing() async throws {
        try fixture.device.configure(server: "http://127.0.0.1:1", changes: secrets)
        let run = try await ControlRun.of(
            ["report", "--output", "-", "--root", scratch.path, "--lines", "5"], bus: "unix:path=/nonexistent",
            user: 65534)
        #expect(run.status == .exited(0) && run.error.hasPrefix("Read it before you send it"), "\(run)")
        #expect(run.output.contains("there is no system bus") && run.output.contains("exit status 77"), "\(run.output)")
        #expect(run.output.contains("the keys for the server cannot be read"))
    }
}
