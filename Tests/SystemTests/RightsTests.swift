import Glibc
import Host
import Simulator
import TestSupport
import Testing

extension SystemTests.Packages {
    /// Access rights.
    @Suite struct RightsTests {
        /// The exposure level that systemd-analyze(1) reports; the design allows 1.2 at most.
        @Test func theAgentsUnitHasALowExposureLevel() async throws {
            try await Container().run { container async throws in
                let output = try await Self.run(
                    container, "systemd-analyze security --offline=true upgradelinkd.service")
                let exposure = output.firstMatch(of: /exposure level for upgradelinkd.service: ([0-9.]+)/)
                let value = try #require(exposure.flatMap { Double($0.1) }, "\(output)")
                #expect(value <= 1.2)
            }
        }

        /// The installer's units, as low as the work of modules allows.
        @Test func theInstallersUnitsHaveABoundedExposureLevel() async throws {
            try await Container().run { container async throws in
                for unit in ["upgradelink-installer.service", "upgradelink-installer-resume.service"] {
                    let output = try await Self.run(container, "systemd-analyze security --offline=true \(unit)")
                    let exposure = output.firstMatch(of: /exposure level for [a-z.-]+: ([0-9.]+)/)
                    let value = try #require(exposure.flatMap { Double($0.1) }, "\(output)")
                    #expect(value <= 6.0, "\(unit)")
                }
            }
        }

        private static func run(_ container: Container, _ line: String) async throws -> String {
            try await container.boot { machine async throws in await machine.shell(line) }.value
        }

        /// Tries forbidden actions as the agent's user, in the agent's unit.
        @Test func theAgentCannotAccessAnythingElse() async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container)
                try container.write("root/secret", "not the agent's\n", mode: 0o600)
                try container.write("var/lib/upgradelink-installer/installation.json", "{}", mode: 0o600)
                chmod("\(container.root)/var/lib/upgradelink-installer", 0o700)
                let tries = [
                    "touch /etc/x", "touch /usr/x", "touch /var/lib/x", "touch /opt/player/x", "touch /root/x",
                    "cat /root/secret", "cat /etc/shadow", "cat /etc/credstore/upgradelinkd.secretKey",
                    "ls /var/lib/upgradelink-installer", "cat /var/lib/upgradelink-installer/installation.json",
                    "mount -t tmpfs tmpfs /mnt", "chown root /var/lib/upgradelinkd", "kill -0 1", "unshare -n true",
                    "cat /proc/1/environ", "cat /etc/upgradelinkd/upgradelinkd.toml.d/root.toml",
                ]
                let script =
                    tries.map { "if \($0) >/dev/null 2>&1; then echo 'could: \($0)'; fi" }.joined(separator: "\n")
                        + """

                        touch /var/lib/upgradelinkd/x && touch /var/cache/upgradelinkd/x && echo 'own directories'
                        cat "$CREDENTIALS_DIRECTORY/secretKey"
                        id -un
                        """
                try container.write("srv/probe", "#!/bin/sh\n(\(script)\n) >/var/lib/upgradelinkd/probe\n", mode: 0o755)
                try container.write(
                    "etc/systemd/system/upgradelinkd.service.d/probe.conf", "[Service]\nExecStartPre=/srv/probe\n")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v1, code 1)"), "and it can do its work")
                    #expect(container.read("var/lib/upgradelinkd/probe") == "own directories\nsk\nupgradelinkd\n")
                }
            }
        }

        /// Only root and the agent can connect to the installer socket, and the installer accepts only their requests.
        @Test func onlyTheAgentAndRootCanUseTheInstallerSocket() async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container)
                let client = """
                    import socket, sys
                    connection = socket.socket(socket.AF_UNIX)
                    connection.settimeout(20)
                    connection.connect("/run/upgradelinkd-installer.socket")
                    connection.sendall(sys.argv[1].encode() + b"\\n")
                    print(connection.makefile().read().strip() or "closed")
                    """
                try container.write("srv/client", client)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "upgradelink-installer.socket")
                    let resume = "/usr/bin/python3 /srv/client '{\"resume\":{\"_0\":7}}' 2>&1 | tail -n 1"
                    #expect(await machine.shell(resume) == "{\"finished\":{\"_0\":{\"unknown\":{}}}}")
                    let agent = "setpriv --reuid=upgradelinkd --regid=upgradelinkd --clear-groups "
                    #expect(await machine.shell(agent + resume) == "{\"finished\":{\"_0\":{\"unknown\":{}}}}")
                    let stranger = "setpriv --reuid=65534 --regid=65534 --clear-groups "
                    #expect(await machine.shell(stranger + resume).contains("Permission denied"))
                    // The installer also checks the user itself, not only the socket's permissions.
                    let insider = "setpriv --reuid=65534 --regid=upgradelinkd --clear-groups "
                    let closed = await machine.shell(insider + resume)
                    #expect(closed.contains("Connection reset") || closed.contains("Broken pipe"), "\(closed)")
                    #expect(
                        await machine.journal("-t upgradelink-installer").contains(
                            "user 65534 may not request installations"))
                    #expect(
                        await machine.shell("/usr/bin/python3 /srv/client nonsense").contains(
                            "no request that makes sense came through the socket"))
                    // One service without a network for all requests, which ends after the last one.
                    let service = "upgradelink-installer.service"
                    #expect(await machine.shell("systemctl show -P PrivateNetwork \(service)") == "yes")
                    #expect(await machine.shell("systemctl is-active \(service)") == "active")
                    #expect(
                        await eventually(within: 60) {
                            await machine.shell("systemctl is-active \(service)") == "inactive"
                        })
                    #expect(await machine.shell(resume) == "{\"finished\":{\"_0\":{\"unknown\":{}}}}")
                }
            }
        }

        @Test func aModuleHasNoNetworkUnlessItDeclaresThatItNeedsOne() async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container, versions: [(2, 2), (3, 2)])
                try fixture.offer([(2, 2)])
                try fixture.configure(module: "looking")
                try container.write(
                    "usr/lib/upgradelinkd/modules/looking",
                    """
                    #!/bin/sh
                    [ "$1" != ArtifactInstall ] || readlink /proc/self/ns/net >>/srv/networks
                    exec /usr/lib/upgradelinkd/modules/directory "$@"
                    """, mode: 0o755)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v2, code 2)"))
                    try container.write("usr/lib/upgradelinkd/modules/looking.network", "")
                    try fixture.offer([(3, 2)])
                    try await machine.run("systemctl", "restart", "sim")
                    try await machine.run("upgradelinkctl", "check")
                    #expect(await machine.status(says: "Up to date (v3, code 3)"))
                    let device = await machine.shell("readlink /proc/1/ns/net")
                    let seen = container.read("srv/networks").split(separator: "\n").map(String.init)
                    #expect(
                        seen.count == 2 && seen.first != device && seen.last == device,
                        "\(seen), and the device has \(device)")
                }
            }
        }

        /// Only root can read the USB stick: upgradelinkctl opens the file, and each process passes the open file on.
        @Test func aFileThatTheAgentCannotReadIsPassedOpen() async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container, versions: [(2, 2)])
                try container.write("root/stick/README", "", mode: 0o600)
                for name in ["v2", "v2.minisig"] {
                    try await execute("mv", ["\(container.root)/srv/\(name)", "\(container.root)/root/stick/"])
                    chmod("\(container.root)/root/stick/\(name)", 0o600)
                }
                chmod("\(container.root)/root/stick", 0o700)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "upgradelinkd")
                    // It waits for the agent's name on the bus.
                    let status = try await machine.run(["upgradelinkctl", "status"])
                    #expect(status.isSuccess && status.output.contains("v1 (code 1)"), "\(status)")
                    let byName =
                        "busctl call org.upgradelink.Agent1 /org/upgradelink/Agent1 org.upgradelink.Agent1 "
                        + "InstallFile s /root/stick/v2 2>&1"
                    #expect(
                        await machine.shell(byName).contains("the agent may not read it"))
                    let given = await machine.shell("upgradelinkctl install /root/stick/v2 2>&1")
                    #expect(given.hasPrefix("Version 2 is verified"), "\(given)")
                    #expect(
                        await eventually { await machine.shell("cat /opt/player/version").contains("VERSION_CODE=2") })
                }
            }
        }

        @Test func everyUserMayReadAndTheGroupMayModify() async throws {
            try await Container().run { container async throws in
                _ = try await DeviceFixture(container)
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    #expect(await machine.status(says: "Up to date (v1, code 1)"))
                    let other = "setpriv --reuid=65534 --regid=65534 --clear-groups upgradelinkctl "
                    let member = "setpriv --reuid=65534 --regid=65534 --groups=upgradelink upgradelinkctl "
                    #expect(await machine.shell(other + "status").contains("Up to date (v1, code 1)"))
                    #expect(await machine.shell(other + "check 2>&1").contains("may do this"))
                    #expect(await machine.shell(member + "check 2>&1; echo $?") == "0")
                    #expect(await machine.shell("upgradelinkctl check 2>&1; echo $?") == "0")
                    // The agent sees the names of programs, although its unit hides other processes from it.
                    let journal = await machine.journal("-u upgradelinkd -o cat")
                    #expect(journal.contains(/Refused Check by uid 65534, pid \d+ \(upgradelinkctl\)/), "\(journal)")
                    #expect(journal.contains(/Check by uid 0, pid \d+ \(upgradelinkctl\)/))
                    let owner = "busctl call org.freedesktop.DBus / org.freedesktop.DBus RequestName su "
                    #expect(
                        await machine.shell(
                            "setpriv --reuid=65534 --regid=65534 --clear-groups \(owner) org.upgradelink.Agent1 0 2>&1"
                        ).contains("Access denied"))
                }
            }
        }
    }
}
