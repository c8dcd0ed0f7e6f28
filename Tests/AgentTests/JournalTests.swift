import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The entries that journald gets (Native Journal Protocol), from the real agent in a mount namespace with a socket of the test.
@Suite(.enabled(if: getuid() == 0, "a mount namespace needs root")) struct JournalTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    /// Arguments: a text in the last entry that is needed; the agent and its arguments.
    private static let journal = """
        import os, socket, subprocess, sys
        os.makedirs("/run/systemd/journal")
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        journal.bind("/run/systemd/journal/socket")
        journal.settimeout(60)
        _, errors = os.pipe()
        status = os.fstat(errors)
        variables = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/none"}
        agent = subprocess.Popen(sys.argv[2:], stderr=errors, env=variables)
        entry = ""
        try:
            while sys.argv[1] not in entry:
                entry = journal.recv(1 << 16).decode()
                print(entry.rstrip("\\n").replace("\\n", " | "))
        finally:
            agent.terminate()
            agent.wait()
        """

    private func entries(until last: String) async throws -> [Substring] {
        try await execute(
            "unshare",
            [
                "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$@\"", "sh", "python3", "-c", Self.journal,
                last,
                "\(programsDirectory)/upgradelinkd", "--root", device.scratch.path,
            ]
        ).split(separator: "\n")
    }

    @Test func aProblemHasItsPriorityAndItsReason() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: "[credentials]\naccessKey = \"other\"")
            chmod("\(device.scratch.path)/etc/upgradelinkd/upgradelinkd.toml", 0o644)
            let refused = try await entries(until: "check the access key")
            #expect(refused.contains { $0.contains("chmod o-r it") && $0.contains(" | PRIORITY=4 | ") }, "\(refused)")
            #expect(
                refused.last?.contains(
                    /^MESSAGE=.* \| PRIORITY=3 \| SYSLOG_IDENTIFIER=upgradelinkd .*\| MESSAGE_ID=[0-9a-f]{32}/) == true,
                "\(refused)")
            #expect(refused.last?.contains(" | UPGRADELINK_REASON=") == true, "\(refused)")
        }
    }

    @Test func anUpdateIsFoundByItsVersion() async throws {
        let version = try await device.publish(2)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let updated = try await entries(until: "MESSAGE=Installed ")
            #expect(
                updated.contains { $0.hasPrefix("MESSAGE=Checking for updates") && $0.contains(" | PRIORITY=6 | ") })
            #expect(
                updated.contains { $0.contains(" | PRIORITY=5 | ") && $0.contains(" | UPGRADELINK_VERSION_CODE=2") },
                "\(updated)")
        }
    }

    @Test func aWrongConfigurationIsAnError() async throws {
        try device.configure(server: "http://h", changes: "[poll]\nintervall = \"2s\"")
        let entries = try await entries(until: "poll.intervall")
        #expect(entries.count == 1)
        #expect(
            entries.first?.hasSuffix(
                "did you mean poll.interval? | PRIORITY=3 | SYSLOG_IDENTIFIER=upgradelinkd") == true, "\(entries)")
    }
}
