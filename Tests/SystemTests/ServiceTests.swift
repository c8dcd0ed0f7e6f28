import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing
import UpdateCore

/// upgradelinkd as systemd's service, driven with systemctl.
@Suite(.enabled(if: Container.isPossible, "booting a container takes root and systemd-nspawn"), .serialized)
struct ServiceTests {
    private let publisher: Publisher
    private let scratch: Scratch

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(folder: "\(scratch.path)/publisher")
    }

    /// A box that runs version 1 of `/opt/player`, and a server inside the same machine.
    private func furnish(_ container: Container, versions: [(code: Int, type: Int)], install: String = "") async throws
    {
        var entries = ""
        for version in versions {
            let file = "\(container.root)/srv/v\(version.code)"
            try Files.createFolder("\(container.root)/srv")
            try await publisher.release(file, urlKey: "box", versionCode: version.code, ballast: 500_000)
            entries += """
                [[applications.versions]]
                versionCode = \(version.code)
                versionName = "v\(version.code)"
                file = "v\(version.code)"
                upgradeType = \(version.type)

                """
        }
        try container.write(
            "srv/sim.toml",
            """
            folder = "/srv"
            [[keys]]
            accessKey = "ak"
            secretKey = "sk"
            [[applications]]
            urlKey = "box"
            \(entries)
            """)
        try container.write(
            "etc/systemd/system/sim.service",
            """
            [Service]
            ExecStart=/usr/local/bin/upgradelink-sim serve /srv/sim.toml
            [Install]
            WantedBy=multi-user.target
            """)
        try container.write("opt/player.versions/one/version", "VERSION=v1\nVERSION_CODE=1\n")
        symlink("/opt/player.versions/one", "\(container.root)/opt/player")
        try container.write("etc/upgradelinkd/upgradelinkd.toml", configuration(install), mode: 0o600)
    }

    private func configuration(_ install: String = "") -> String {
        """
        verification.keys = ["\(publisher.publicKey)"]
        [server]
        url = "http://127.0.0.1:8480"
        [credentials]
        accessKey = "ak"
        secretKey = "sk"
        [device]
        urlKey = "box"
        devKey = "d1"
        versionFile = "/opt/player/version"
        [poll]
        splay = "1s"
        backOffBase = "1s"
        [install]
        module = "directory"
        files = { link = "/opt/player" }
        \(install)
        """
    }

    @Test func enabledItUpdatesTheBoxAndTheJournalTellsTheStory() async throws {
        try await Container().run { container async throws in
            try await furnish(container, versions: [(2, 2)])
            try await container.boot { machine async throws in
                try await machine.run("systemctl", "start", "sim")
                let start = try await machine.run("systemctl", "enable", "--now", "upgradelinkd")
                #expect(start.isSuccess, "\(start.error)")
                #expect(await machine.property("ActiveState") == "active")
                #expect(await machine.status(says: "Up to date (v2, code 2); next check in "))
                let entry = try await machine.run(
                    "journalctl", "-u", "upgradelinkd", "-o", "json", "MESSAGE_ID=1057c47a1d814e3792314eced6c864b0")
                for field in [
                    "\"MESSAGE\":\"Installed v2 (code 2)\"", "\"UPGRADELINK_VERSION_CODE\":\"2\"",
                    "\"UPGRADELINK_VERSION_NAME\":\"v2\"", "\"UPGRADELINK_UPGRADE_TYPE\":\"silent\"",
                    "\"PRIORITY\":\"5\"",
                ] {
                    #expect(entry.output.contains(field), "\(field) in \(entry.output)")
                }
                try await machine.run("journalctl", "--update-catalog")
                let explained = try await machine.run("journalctl", "-x", "-u", "upgradelinkd", "--no-pager")
                #expect(explained.output.contains("Subject: Version v2 is installed"))
                #expect(explained.output.contains("The box runs version v2, code 2, and says so itself."))
                #expect(!explained.output.contains("sk\n"))
                #expect(try await machine.run("upgradelinkctl", "status").isSuccess)
                #expect(try await machine.run("upgradelinkctl", "doctor").isSuccess)
            }
        }
    }

    @Test func aWrongConfigurationIsStatus78AndIsNotTriedAgain() async throws {
        try await Container().run { container async throws in
            try container.write("etc/upgradelinkd/upgradelinkd.toml", "[poll]\ninterval = \"soon\"\n", mode: 0o600)
            try await container.boot { machine async throws in
                #expect(try await !machine.run("systemctl", "start", "upgradelinkd").isSuccess)
                #expect(await machine.property("ExecMainStatus") == "78")
                #expect(await machine.property("NRestarts") == "0")
                #expect(await machine.property("ActiveState") == "failed")
                #expect(await machine.property("StatusText").contains("poll.interval: found the text \"soon\""))
            }
        }
    }

    @Test func reloadsStopsAndTheWatchdogWorkAsSystemdKnowsThem() async throws {
        try await Container().run { container async throws in
            try await furnish(container, versions: [])
            try container.write(
                "etc/systemd/system/upgradelinkd.service.d/test.conf", "[Service]\nWatchdogSec=2s\nRestartSec=200ms\n")
            try await container.boot { machine async throws in
                try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                // A bad reload, then a good one.
                try container.write("etc/upgradelinkd/upgradelinkd.toml.d/bad.toml", "[poll]\ninterval = \"soon\"\n")
                try await machine.run("systemctl", "reload", "upgradelinkd")
                #expect(await machine.status(says: "The configuration was not reloaded: "))
                #expect(await machine.property("ActiveState") == "active")
                unlink("\(container.root)/etc/upgradelinkd/upgradelinkd.toml.d/bad.toml")
                try await machine.run("systemctl", "reload", "upgradelinkd")
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                // A process that stands still is killed and started again.
                let pid = await machine.property("MainPID")
                try await machine.run("kill", "-STOP", pid)
                #expect(await eventually(within: 30) { await machine.property("NRestarts") == "1" })
                #expect(await machine.status(says: "Up to date (v1, code 1)"))
                #expect(await machine.property("MainPID") != pid)
                let before = Clock.bootTime
                #expect(try await machine.run("systemctl", "stop", "upgradelinkd").isSuccess)
                #expect(Clock.bootTime - before < 10)
                #expect(await machine.property("Result") == "success")
            }
        }
    }

    @Test func anUpdateThatRestartsTheBoxIsCommittedAfterwards() async throws {
        try await Container().run { container async throws in
            try await furnish(container, versions: [(2, 2)])
            try container.write(
                "usr/lib/upgradelinkd/modules/restarting",
                "#!/bin/sh\n[ \"$1\" = NeedsArtifactReboot ] && { echo Automatic; exit 0; }\nexec /usr/lib/upgradelinkd/modules/directory \"$@\"\n",
                mode: 0o755)
            let text = configuration().replacing("\"directory\"", with: "\"restarting\"")
            try container.write("etc/upgradelinkd/upgradelinkd.toml", text, mode: 0o600)
            let first = try await container.boot { machine async throws in
                // logind holds the restart back for as long as somebody inhibits it.
                try await machine.run(
                    "systemd-run", "-q", "--unit=recording", "systemd-inhibit", "--what=shutdown", "--who=TV",
                    "--why=recording", "--mode=block", "sleep", "1000")
                try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                #expect(await machine.status(says: "the box cannot be restarted: Operation inhibited by \"TV\""))
                try await machine.run("systemctl", "stop", "recording")
                #expect(await eventually(within: 60) { !machine.isRunning })
            }
            #expect(first.status == .exited(133), "it restarted")
            try await container.boot { machine async throws in
                #expect(await machine.status(says: "Up to date (v2, code 2)"))
                let history = try await machine.run("upgradelinkctl", "history")
                #expect(history.output.contains("installed  v2 (code 2), silent"))
            }
        }
    }
}
