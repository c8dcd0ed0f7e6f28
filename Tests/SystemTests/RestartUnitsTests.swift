import Host
import TestSupport
import Testing

extension SystemTests.Devices {
    /// The application is restarted with the new version, and after a rollback with the old one.
    @Suite struct RestartUnitsTests {
        /// - Parameter check: shell that fails if the application does not work with a version.
        private func run(
            check: String, install: String = "", _ body: @Sendable (Machine, DeviceFixture) async throws -> Void
        ) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try container.write(
                    "etc/systemd/system/player.service",
                    """
                    [Service]
                    Restart=always
                    RestartSec=100ms
                    ExecStart=/bin/sh -c 'cp /opt/player/version /run/playing; \(check) && exec sleep 10000'
                    """)
                try fixture.configure(
                    install: """
                        restartUnits = ["player.service"]
                        healthTimeout = "8s"
                        \(install)
                        """)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "player", "sim", "upgradelinkd")
                    try await body(machine, fixture)
                }
            }
        }

        @Test func theApplicationRunsTheNewVersion() async throws {
            try await run(check: "true") { machine, fixture async throws in
                let isUpToDate = await machine.status(says: "Up to date (v2, code 2)")
                let journal = await machine.journal("-o cat -n 40")
                #expect(isUpToDate, "\(journal)")
                #expect(await machine.shell("cat /run/playing").contains("VERSION_CODE=2"))
                #expect(await machine.property("ActiveState", of: "player") == "active")
                #expect(await eventually { fixture.reports(of: 2) == [0] })
            }
        }

        /// The new version crashes so often that systemd would not start it any more.
        @Test func anApplicationThatCrashesIsRolledBackAndRuns() async throws {
            try await run(check: "! grep -q =2 /opt/player/version", install: "attempts = 1") {
                machine, fixture async throws in
                let hasFailed = await machine.status(
                    says: "rolled back: the device is not healthy after 8 s: player.service ")
                let journal = await machine.journal("-o cat -n 40")
                #expect(hasFailed, "\(journal)")
                #expect(await machine.shell("cat /run/playing").contains("VERSION_CODE=1"))
                #expect(await machine.property("ActiveState", of: "player") == "active")
                #expect(await eventually { fixture.reports(of: 2) == [3] })
            }
        }

        struct Breakage: Sendable, CustomTestStringConvertible {
            var testDescription: String
            var command: String
        }

        /// A version that breaks the agent, without a reboot: the old agent runs afterwards, and reports it.
        @Test(arguments: [
            Breakage(testDescription: "ends with 78", command: "exit 78"),
            Breakage(testDescription: "crashes", command: "kill -SEGV $$"),
            Breakage(testDescription: "ends with success", command: "exit 0"),
            Breakage(testDescription: "hangs", command: "exec sleep 10000"),
        ])
        func theOldAgentRunsAfterTheRollback(breakage: Breakage) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.configure(module: "breaking", install: "healthTimeout = \"5s\"\nattempts = 1")
                let command = breakage.command.replacing("$", with: "$$$$")
                try container.write(
                    "usr/lib/upgradelinkd/modules/breaking",
                    """
                    #!/bin/sh
                    d=/etc/systemd/system/upgradelinkd.service.d
                    case "$1" in
                        ArtifactInstall)
                            mkdir -p $d
                            printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c "\(command)"\\n' >$d/b.conf
                            systemctl daemon-reload
                            systemctl restart --no-block upgradelinkd
                            ;;
                        ArtifactRollback) rm -f $d/b.conf ;;
                    esac
                    exec /usr/lib/upgradelinkd/modules/directory "$@"
                    """, mode: 0o755)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    let hasFailed = await machine.status(says: "v2 (code 2) failed: rolled back: ")
                    let journal = await machine.journal("-o cat -n 60")
                    #expect(hasFailed, "\(journal)")
                    #expect(await machine.property("ActiveState") == "active")
                    #expect(await eventually { fixture.reports(of: 2) == [3] })
                }
            }
        }
    }
}
