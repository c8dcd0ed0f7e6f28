import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// `upgradelinkctl report` on a real systemd, with its journal.
    @Suite struct ReportTests {
        @Test func aReportHasTheJournalAndNoSecret() async throws {
            try await Container().run { container async throws in
                let device = try await DeviceFixture(container)
                try container.write("etc/credstore/upgradelinkd.secretKey", "secret-key-4711\n", mode: 0o600)
                try container.edit(
                    "srv/sim.toml", container.read("srv/sim.toml").replacing("\"sk\"", with: "\"secret-key-4711\""))
                try container.write(
                    "etc/upgradelinkd/upgradelinkd.toml.d/secrets.toml",
                    "[device]\ndevKeySalt = \"salt-of-the-earth\"\n", mode: 0o640)
                _ = device
                // Something that quotes the key in the journal of the agent's unit.
                try container.write(
                    "etc/systemd/system/upgradelinkd.service.d/echo.conf",
                    "[Service]\nExecStartPre=echo secret-key-4711 in the journal\n")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date"))
                    let run = try await machine.run("upgradelinkctl", "report", "--output", "/srv/outside/report.txt")
                    #expect(run.isSuccess && run.output.contains("Read it before you send it"), "\(run)")
                    let report = container.readOutside("report.txt")
                    for words in [
                        "== /etc/os-release\n", "PRETTY_NAME=", "== package\nupgradelinkd 0", "systemd 2",
                        "Status:      Up to date", "ok   ", "upgradelinkd.service", "Active: active (running)",
                        "*** in the journal", "== journal of the boot before",
                    ] {
                        #expect(report.contains(words), "\(words) in \(report)")
                    }
                    for secret in ["secret-key-4711", "salt-of-the-earth"] { #expect(!report.contains(secret)) }
                    let others = await machine.shell(
                        "cd /tmp && setpriv --reuid=65534 --clear-groups upgradelinkctl report --output -")
                    #expect(others.contains("== upgradelinkctl status\nStatus:      Up to date"), "\(others)")
                    #expect(others.contains("exit status 77") && !others.contains("salt-of-the-earth"), "\(others)")
                }
            }
        }
    }
}
