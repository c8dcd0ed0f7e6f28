import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Devices {
    /// What a module leaves behind, what a shutdown does to a module, and dpkg's locks.
    @Suite struct ModuleProcessTests {
        /// Writes the module "leaving", whose rollback compares what is written during one second.
        private static func writeModule(_ container: Container, install: String) throws {
            try container.write(
                "usr/lib/upgradelinkd/modules/leaving",
                """
                #!/bin/sh
                case "$1" in
                    SupportsRollback) echo Yes ;;
                    ArtifactInstall)
                        setsid env -i sh -c 'while :; do date >>/srv/writes; sleep 0.05; done' &
                        \(install)
                        ;;
                    ArtifactRollback) cp /srv/writes /srv/before; sleep 1; cp /srv/writes /srv/after ;;
                esac
                """, mode: 0o755)
        }

        private static func start(_ machine: Machine) async throws {
            try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
            try await machine.run("systemctl", "start", "sim", "upgradelinkd")
        }

        private static func expectSilence(_ container: Container, _ machine: Machine) async {
            let isRolledBack = await machine.has("/srv/after", within: 90)
            let journal = await machine.journal("-o cat -u 'upgradelink*' -n 60")
            #expect(isRolledBack, "\(journal)")
            #expect(await machine.status(says: "The update to v2 (code 2) failed: rolled back"), "\(journal)")
            let before = container.read("srv/before")
            #expect(!before.isEmpty && before == container.read("srv/after"), "\(journal)")
        }

        @Test(arguments: ["exit 1", "sleep 1000"])
        func nothingThatWasLeftWritesDuringTheRollback(end: String) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.configure(
                    module: "leaving", install: "attempts = 1\ntimeouts = { ArtifactInstall = \"5s\" }")
                try Self.writeModule(
                    container,
                    install: """
                        systemd-run -q --unit=adopted sleep 1000
                        sleep 2000 &
                        until [ -s /srv/writes ]; do sleep 0.05; done
                        \(end)
                        """)
                try await container.boot { machine async throws in
                    try await Self.start(machine)
                    await Self.expectSilence(container, machine)
                    #expect(await machine.property("ActiveState", of: "adopted") == "active")
                    #expect(await machine.shell("pgrep -fx 'sleep 2000'") == "")
                    let journal = await machine.journal("-o cat -u upgradelink-installer")
                    #expect(journal.contains("ArtifactInstall of leaving left process "), "\(journal)")
                    #expect(journal.contains("systemd-run or a unit (upgradelink-modules(7))"))
                    if end == "exit 1" { #expect(journal.contains("(sleep 2000) behind"), "\(journal)") }
                }
            }
        }

        /// The installer is killed: what it had started keeps only its control group.
        @Test func nothingThatAKilledInstallerLeftWritesDuringTheRollback() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.configure(module: "leaving", install: "attempts = 1")
                try Self.writeModule(
                    container,
                    install: "until [ -s /srv/writes ]; do sleep 0.05; done; echo $PPID >/srv/pid; sleep 1000")
                try await container.boot { machine async throws in
                    try await Self.start(machine)
                    #expect(await machine.has("/srv/pid"))
                    try await machine.run("sh", "-c", "kill -9 $(cat /srv/pid)")
                    await Self.expectSilence(container, machine)
                    let journal = await machine.journal("-o cat -u upgradelink-installer")
                    #expect(journal.contains("an installer that was killed left process "), "\(journal)")
                }
            }
        }

        /// What the installer ends is what it left, not another installer that systemd has just started.
        @Test func anInstallerThatIsBeingStartedIsNotEnded() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.configure()
                // Like systemd's child: first with a name in parentheses, then with the program, here half a second after the
                // installation has begun.
                try container.write(
                    "srv/starting",
                    """
                    #!/usr/bin/python3
                    import os, time
                    open("/proc/self/comm", "w").write("(upgradelink)")
                    open("/srv/ready", "w")
                    def names():
                        for pid in os.listdir("/proc"):
                            try: yield open(f"/proc/{pid}/comm").read().strip()
                            except OSError: pass
                    while "upgradelink-ins" not in names(): time.sleep(0.001)
                    time.sleep(0.5)
                    os.execv("/bin/sleep", ["upgradelink-installer", "1000"])
                    """, mode: 0o755)
                try await container.boot { machine async throws in
                    let unit = "upgradelink-installer-starting"
                    try await machine.run("systemd-run", "-q", "--unit=\(unit)", "/srv/starting")
                    #expect(await machine.has("/srv/ready"))
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    #expect(await machine.property("ActiveState", of: unit) == "active")
                    #expect(await machine.shell("cat /proc/$(systemctl show -P MainPID \(unit))/comm") == "sleep")
                }
            }
        }

        // MARK: a shutdown

        /// Powers the machine off while the module installs.
        ///
        /// - Returns: the seconds until it is off.
        private static func powerOffWhileInstalling(
            _ container: Container, isUninterruptible: Bool
        ) async throws -> Double {
            let fixture = try await DeviceFixture(container, versions: [(2, 2)])
            try fixture.configure(module: "slow")
            try container.write(
                "usr/lib/upgradelinkd/modules/slow",
                """
                #!/bin/sh
                [ "$1" = ArtifactInstall ] || exit 0
                touch /srv/started
                sleep \(isUninterruptible ? 12 : 1000)
                echo VERSION_CODE=2 >/opt/player/version
                echo yes >/srv/installed
                """, mode: 0o755)
            if isUninterruptible { try container.write("usr/lib/upgradelinkd/modules/slow.uninterruptible", "") }
            let boot = try await container.boot { machine async throws in
                try await Self.start(machine)
                #expect(await machine.has("/srv/started"))
                let start = Clock.bootTime
                try await machine.run("systemctl", "poweroff")
                #expect(await machine.shutsDown())
                let seconds: Seconds = Clock.bootTime - start
                return seconds
            }
            #expect(boot.status == .exited(0), "it is off")
            return boot.value
        }

        @Test func aShutdownDoesNotWaitForAModule() async throws {
            try await Container().run { container async throws in
                let seconds = try await Self.powerOffWhileInstalling(container, isUninterruptible: false)
                #expect(seconds < 10)
                #expect(container.read("srv/installed").isEmpty)
            }
        }

        @Test func aShutdownWaitsForAModuleThatMustNotBeInterrupted() async throws {
            try await Container().run { container async throws in
                _ = try await Self.powerOffWhileInstalling(container, isUninterruptible: true)
                #expect(container.read("srv/installed") == "yes\n")
                try await container.boot { machine async throws in
                    #expect(
                        await eventually {
                            container.read("var/lib/upgradelink-installer/installation.json").contains("\"committed\"")
                        })
                }
            }
        }

        // MARK: dpkg

        /// Another program holds dpkg's lock, as apt does, longer than the module waits: nothing is counted, and the installation is
        /// tried again until the lock is free.
        @Test(arguments: ["lock-frontend", "lock"]) func aLockOfDpkgIsNotTheVersionsFault(lock: String) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2)])
                try fixture.configure(
                    module: "deb", files: "lockTimeout = \"2\"", versionFile: "/opt/tv/version", install: "attempts = 1"
                )
                try container.write("opt/tv/version", "VERSION=v1\nVERSION_CODE=1\n")
                try container.write(
                    "srv/package/DEBIAN/control",
                    "Package: tv-player\nVersion: 2\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: test\n"
                )
                try container.write("srv/package/opt/tv/version", "VERSION=v2\nVERSION_CODE=2\n")
                try await execute(
                    "dpkg-deb",
                    ["--root-owner-group", "--build", "\(container.root)/srv/package", "\(container.root)/srv/v2"])
                try await fixture.sign(version: 2)
                let holder = """
                    import fcntl, time
                    f = open("/var/lib/dpkg/\(lock)", "w")
                    fcntl.lockf(f, fcntl.LOCK_EX)
                    open("/run/held", "w").close()
                    time.sleep(1000)
                    """
                try container.write("srv/holder.py", holder)
                try await container.boot { machine async throws in
                    try await machine.run("systemd-run", "-q", "--unit=apt", "python3", "/srv/holder.py")
                    #expect(await machine.has("/run/held"))
                    try await Self.start(machine)
                    let log = "-o cat -u upgradelink-installer"
                    let count = "\(log) | grep -c \"nothing is counted.*has had dpkg's lock for 2 s\""
                    let isTriedAgain = await eventually(within: 90) { Int(await machine.journal(count)) ?? 0 > 1 }
                    let journal = await machine.journal(log)
                    #expect(isTriedAgain, "\(journal)")
                    #expect(journal.contains("python3 /srv/holder.py) has had"), "\(journal)")
                    try await machine.run("systemctl", "stop", "apt")
                    #expect(await machine.status(says: "Up to date (v2, code 2)", within: 90))
                    #expect(await machine.shell("dpkg-query -W -f '${Version}' tv-player") == "2")
                    #expect(fixture.reports(of: 2).allSatisfy { $0 == 0 })
                }
            }
        }
    }
}
