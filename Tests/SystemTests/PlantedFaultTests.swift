import Host
import TestSupport
import Testing

/// A fault of a device, and how `upgradelinkctl doctor` reports it.
struct PlantedFault: Sendable {
    /// Lines of shell.
    var plant: String
    var undo: String
    /// The name and the result of the finding, as in JSON.
    var name: String
    var result: String
    /// Parts of the text and of the remedy.
    var text: String
    var remedy: String
    /// Whether `upgradelinkd --check-config` also reports it, with exit status 78.
    var isConfigurationFault: Bool

    /// - Parameter option: a drop-in of the configuration, instead of a line of shell.
    init(
        _ name: String, _ text: String, _ remedy: String, result: String = "bad", option: String = "",
        plant: String = "true", undo: String = "true", isConfigurationFault: Bool = false
    ) {
        let dropIn = "/etc/upgradelinkd/upgradelinkd.toml.d/fault.toml"
        (self.name, self.result, self.text, self.remedy) = (name, result, text, remedy)
        self.plant = option.isEmpty ? plant : "\(plant); cat >\(dropIn) <<'EOF'\n\(option)\nEOF\nchmod 644 \(dropIn)"
        self.undo = option.isEmpty ? undo : "\(undo); rm \(dropIn)"
        self.isConfigurationFault = isConfigurationFault
    }
}

extension SystemTests {
    /// Faults are planted one after another in a device that is all right, and removed again.
    @Suite struct PlantedFaultTests {
        struct Report: Decodable {
            struct Finding: Decodable, Hashable {
                var name: String
                var result: String
                var text: String
                var remedy: String?
            }
            var findings: [Finding]
            var summary: [String: Int]

            func results(of name: String) -> [Finding] { findings.filter { $0.name == name } }
            var problems: [Finding] { findings.filter { $0.result == "bad" || $0.result == "warn" } }
        }

        private static let version = "/opt/player.versions/one/version"
        private static let modules = "/usr/lib/upgradelinkd/modules"
        private static let planted = "\(modules)/planted"
        private static let main = "/etc/upgradelinkd/upgradelinkd.toml"

        private static func module(
            _ text: String, _ remedy: String, _ plant: String, undo: String = "true"
        ) -> PlantedFault {
            PlantedFault(
                "update module", text, remedy, option: "install.module = \"planted\"",
                plant: "printf '#!/bin/sh\\n' >\(planted); chmod 755 \(planted); \(plant)",
                undo: "\(undo); rm -f \(planted)")
        }

        /// What the agent cannot read or write.
        private static let rights: [PlantedFault] = [
            .init(
                "installed version", "Permission denied", "chgrp upgradelinkd", plant: "chmod 600 \(version)",
                undo: "chmod 644 \(version)", isConfigurationFault: true),
            .init(
                "installed version", "Permission denied", "chmod o+x /opt", plant: "chmod 000 /opt",
                undo: "chmod 755 /opt", isConfigurationFault: true),
            .init(
                "installed version", "/home/version", "ProtectHome=yes",
                option: "device.versionFile = \"/home/version\"", plant: "cp \(version) /home/version",
                undo: "rm /home/version", isConfigurationFault: true),
            .init(
                "installed version", "/var/tmp/version", "PrivateTmp=yes",
                option: "device.versionFile = \"/var/tmp/version\"", plant: "cp \(version) /var/tmp/version",
                undo: "rm /var/tmp/version", isConfigurationFault: true),
            .init(
                "installed version", "Permission denied", "InaccessiblePaths=",
                plant: """
                    mkdir -p /etc/systemd/system/upgradelinkd.service.d
                    printf '[Service]\\nInaccessiblePaths=/opt\\n' >/etc/systemd/system/upgradelinkd.service.d/f.conf
                    systemctl daemon-reload
                    """,
                undo: "rm -r /etc/systemd/system/upgradelinkd.service.d; systemctl daemon-reload",
                isConfigurationFault: true),
            .init(
                "installed version", "a directory, not a regular file", "regular file",
                option: "device.versionFile = \"/opt\"", isConfigurationFault: true),
            .init(
                "installed version", "a FIFO", "regular file", option: "device.versionFile = \"/srv/fifo\"",
                plant: "mkfifo /srv/fifo",
                undo: "rm /srv/fifo", isConfigurationFault: true),
            .init(
                "installed version", "File too large", "set device.versionFile",
                plant: "cp \(version) /srv/kept; truncate -s 100000 \(version)",
                undo: "cp /srv/kept \(version)", isConfigurationFault: true),
            .init(
                "installed version", "no line VERSION_CODE", "device.versionCodeKey",
                plant: "cp \(version) /srv/kept; echo VERSION=1 >\(version)", undo: "cp /srv/kept \(version)",
                isConfigurationFault: true),
            .init(
                "identity", "no physical Ethernet or Wi-Fi interface", "does not start",
                plant: "cp -p \(main) /srv/main; sed -i /devKey/d \(main)", undo: "cp -p /srv/main \(main)",
                isConfigurationFault: true),
            .init(
                "credentials", "credentials.accessKeyFile", "chgrp upgradelinkd",
                option: "credentials.accessKeyFile = \"/etc/upgradelinkd/ak\"",
                plant: "echo ak >/etc/upgradelinkd/ak; chmod 600 /etc/upgradelinkd/ak",
                undo: "rm /etc/upgradelinkd/ak", isConfigurationFault: true),
            .init(
                "files", "/etc/upgradelinkd/keys.d/x.pub", "chgrp upgradelinkd",
                plant: """
                    sed -n 's/^verification.keys = \\["\\(.*\\)"\\]/\\1/p' \(main) >/etc/upgradelinkd/keys.d/x.pub
                    chmod 600 /etc/upgradelinkd/keys.d/x.pub
                    """, undo: "rm /etc/upgradelinkd/keys.d/x.pub", isConfigurationFault: true),
            .init(
                "files", "upgradelinkd.toml", "chgrp upgradelinkd", plant: "chmod 600 \(main); chgrp root \(main)",
                undo: "chmod 640 \(main); chgrp upgradelinkd \(main)", isConfigurationFault: true),
            .init(
                "directories", "/var/lib/upgradelinkd", "systemctl restart upgradelinkd",
                plant: "chown root: /var/lib/upgradelinkd", undo: "chown upgradelinkd: /var/lib/upgradelinkd",
                isConfigurationFault: true),
            .init(
                "directories", "/srv/downloads", "ReadWritePaths=/srv/downloads",
                option: "download.directory = \"/srv/downloads\"",
                plant: "install -d -m 700 -o upgradelinkd /srv/downloads", undo: "rmdir /srv/downloads",
                isConfigurationFault: true),
            .init(
                "directories", "no free inodes", "df -i",
                plant: "mount -t tmpfs -o nr_inodes=1,mode=777 tmpfs /var/cache/upgradelinkd",
                undo: "umount /var/cache/upgradelinkd", isConfigurationFault: true),
            .init(
                "certificates", "server.caBundle", "chgrp upgradelinkd", option: "server.caBundle = \"/srv/ca.pem\"",
                plant: "echo '-----BEGIN CERTIFICATE-----' >/srv/ca.pem; chmod 600 /srv/ca.pem",
                undo: "rm /srv/ca.pem", isConfigurationFault: true),
            .init(
                "certificates", "no certificate in PEM", "a file in PEM",
                option: "server.caBundle = \"/srv/ca.pem\"", plant: "echo DER >/srv/ca.pem; chmod 644 /srv/ca.pem",
                undo: "rm /srv/ca.pem", isConfigurationFault: true),
        ]

        private static let programs: [PlantedFault] = [
            .init("update module", "absent is not in", "set install.module", option: "install.module = \"absent\""),
            module("is not executable", "chmod +x", "chmod 644 \(planted)"),
            module("needs /bin/absent", "install /bin/absent", "printf '#!/bin/absent\\n' >\(planted)"),
            module("every user can change", "chmod o-w", "chmod 757 \(planted)"),
            module("belongs to the user", "chown root", "chown upgradelinkd \(planted)"),
            module(
                "mounted with noexec", "remount,exec",
                "mount --bind \(modules) \(modules); mount -o remount,bind,noexec \(modules)",
                undo: "umount \(modules)"),
            module("others than root can write to", "chmod go-w", "chmod 777 \(modules)", undo: "chmod 755 \(modules)"),
            .init(
                "module options", "/etc exists and is not a symbolic link", "ln -s",
                option: "install.files = { link = \"/etc\" }"),
            .init(
                "module options", "install.files.destination is missing", "absolute path",
                option: "install.module = \"file\""),
            .init(
                "module options", "others than root can write to /tmp", "chmod go-w",
                option: "install.module = \"file\"\ninstall.files = { destination = \"/tmp/file\" }"),
            .init(
                "module options", "needs \"artifact\"", "install.fileName = \"artifact\"",
                option: "install.module = \"deb\"\ninstall.fileName = \"other\""),
            .init(
                "module options", "needs the program dpkg", "install dpkg",
                option: "install.module = \"deb\"\ninstall.fileName = \"artifact\"",
                plant: "mv /usr/bin/dpkg /usr/bin/dpkg.kept", undo: "mv /usr/bin/dpkg.kept /usr/bin/dpkg"),
            .init(
                "health check", "/usr/bin/absent does not exist", "install it",
                option: "install.healthProgram = [\"/usr/bin/absent\"]"),
            .init(
                "health check", "absent.service does not exist", "correct the option",
                option: "install.healthUnits = [\"absent.service\"]"),
            .init(
                "reboot", "/sbin/absent does not exist", "install it",
                option: "install.rebootCommand = [\"/sbin/absent\"]"),
            .init(
                "windows", "install.gracePeriod", "lengthen install.windows", result: "warn",
                option: "install.windows = [\"02:00-02:10\"]\ninstall.gracePeriod = \"20min\""),
            .init(
                "windows", "times in UTC", "timedatectl set-timezone", result: "warn",
                option: "install.windows = [\"02:00-04:00\"]", plant: "mv /etc/localtime /etc/localtime.kept",
                undo: "mv /etc/localtime.kept /etc/localtime"),
            .init(
                "keys", "there are none", "verification.keys",
                plant: "cp -p \(main) /srv/main; sed -i '/^verification.keys/d' \(main)",
                undo: "cp -p /srv/main \(main)"),
            .init("keys", "verification.mode", "minisign", option: "verification.mode = \"sha256\""),
            .init(
                "configuration", "poll.interval", "upgradelinkd.toml(5)", option: "poll.interval = false",
                isConfigurationFault: true),
        ]

        private static let system: [PlantedFault] = [
            .init(
                "resume", "masked", "systemctl unmask",
                plant: "systemctl mask upgradelink-installer-resume",
                undo: "systemctl unmask upgradelink-installer-resume"),
            .init(
                "resume", "nothing starts", "add-wants",
                plant: """
                    ln -s /dev/null /etc/systemd/system/multi-user.target.wants/upgradelink-installer-resume.service
                    systemctl daemon-reload
                    """,
                undo: """
                    rm /etc/systemd/system/multi-user.target.wants/upgradelink-installer-resume.service
                    systemctl daemon-reload
                    """),
            .init(
                "resume", "which this boot does not reach", "add-wants",
                plant: """
                    d=/etc/systemd/system
                    ln -s /dev/null $d/multi-user.target.wants/upgradelink-installer-resume.service
                    mkdir -p $d/never.target.wants && printf '[Unit]\\n' >$d/never.target
                    ln -s /usr/lib/systemd/system/upgradelink-installer-resume.service $d/never.target.wants/
                    systemctl daemon-reload; systemctl start --job-mode=ignore-dependencies never.target
                    systemctl stop never.target
                    """,
                undo: """
                    d=/etc/systemd/system
                    rm -r $d/multi-user.target.wants/upgradelink-installer-resume.service $d/never.target*
                    systemctl daemon-reload
                    """),
            .init(
                "installer", "upgradelink-installer.socket is inactive", "systemctl start",
                plant: "systemctl stop upgradelink-installer.socket",
                undo: "systemctl start upgradelink-installer.socket"),
            .init(
                "installer", "was removed", "systemctl restart",
                plant: "mv /run/upgradelinkd-installer.socket /run/kept.socket",
                undo: "mv /run/kept.socket /run/upgradelinkd-installer.socket"),
            .init(
                "unit", "does not start at boot", "systemctl enable", plant: "systemctl disable upgradelinkd",
                undo: "systemctl enable upgradelinkd"),
            .init(
                "unit", "have changed", "daemon-reload", result: "warn",
                plant: "touch -d '+10 seconds' /usr/lib/systemd/system/upgradelinkd.service",
                undo: "systemctl daemon-reload"),
            .init(
                "state", "others than root can write to /var/lib/upgradelink-installer", "chmod go-w",
                plant: "chmod 777 /var/lib/upgradelink-installer", undo: "chmod 700 /var/lib/upgradelink-installer"),
            .init(
                "accounts", "no group upgradelink,", "systemd-sysusers", result: "warn",
                plant: "cp -p /etc/group /srv/group; sed -i '/^upgradelink:/d' /etc/group",
                undo: "cp -p /srv/group /etc/group"),
            .init(
                "accounts", "no user upgradelinkd", "systemd-sysusers",
                plant: "cp -p /etc/passwd /srv/passwd; sed -i '/^upgradelinkd:/d' /etc/passwd",
                undo: "cp -p /srv/passwd /etc/passwd"),
            .init(
                "D-Bus", "org.upgradelink.policy", "install upgradelinkd again", result: "warn",
                plant: "mv /usr/share/polkit-1/actions/org.upgradelink.policy /srv",
                undo: "mv /srv/org.upgradelink.policy /usr/share/polkit-1/actions"),
        ]

        private func report(_ machine: Machine, _ prefix: String = "") async throws -> Report {
            let output = await machine.shell("\(prefix) upgradelinkctl doctor --json")
            do { return try JSONLine.decode(Report.self, from: Array(output.utf8)) } catch {
                Issue.record("\(error): \(output)")
                throw error
            }
        }

        private func isFault(_ finding: Report.Finding, _ fault: PlantedFault) -> Bool {
            finding.name == fault.name && finding.result == fault.result && finding.text.contains(fault.text)
                && finding.remedy?.contains(fault.remedy) == true
        }

        private func withDevice(_ body: @Sendable (Container, Machine) async throws -> Void) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container)
                try fixture.configure(install: "healthUnits = [\"upgradelinkd.service\"]")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim")
                    try await body(container, machine)
                }
            }
        }

        private func check(_ faults: [PlantedFault]) async throws {
            try await withDevice { _, machine async throws in
                try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                #expect(await machine.status(says: "Up to date"))
                let before = try await report(machine).problems
                #expect(before.isEmpty, "\(before)")
                #expect(await machine.shell("upgradelinkd --check-config 2>&1") == "The configuration is right.")
                for fault in faults {
                    let errors = await machine.shell("{ \(fault.plant)\n} 2>&1")
                    let found = try await report(machine)
                    #expect(
                        found.findings.contains { isFault($0, fault) },
                        "\(fault.name), \(fault.text): \(found.problems), \(errors)")
                    if fault.isConfigurationFault {
                        let check = await machine.shell("upgradelinkd --check-config 2>&1; echo $?")
                        #expect(check.contains(fault.text) && check.hasSuffix("\n78"), "\(fault): \(check)")
                    }
                    _ = await machine.shell("{ \(fault.undo)\n} 2>&1")
                    #expect(
                        await eventually(within: 60) { (try? await report(machine))?.problems.isEmpty == true },
                        "after \(fault.name), \(fault.text)")
                }
            }
        }

        @Test func whatTheAgentCannotUseIsFound() async throws { try await check(Self.rights) }
        @Test func whatTheInstallerCannotUseIsFound() async throws { try await check(Self.programs) }
        @Test func faultsOfTheSystemAreFound() async throws { try await check(Self.system) }

        @Test func aNewInstallationIsCheckedWithoutSideEffects() async throws {
            try await withDevice { container, machine async throws in
                // The agent has never been started.
                #expect(await machine.shell("upgradelinkd --check-config 2>&1") == "The configuration is right.")
                var found = try await report(machine)
                #expect(Set(found.problems.map(\.name)) == ["unit", "agent"], "\(found.problems)")
                #expect(found.results(of: "updates").map(\.result) == ["skip"])
                for directory in ["/var/lib/upgradelinkd", "/var/cache/upgradelinkd"] {
                    #expect(await machine.shell("ls -A \(directory)") == "", "nothing is stored")
                }
                // Without systemd, the rights of the user count, and the sandbox is not checked.
                let alone = "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"
                _ = await machine.shell("chmod 000 /opt")
                found = try await report(machine, alone)
                #expect(found.results(of: "agent's rights").map(\.result) == ["skip"], "\(found.findings)")
                #expect(found.results(of: "installed version").map(\.result) == ["bad"], "\(found.findings)")
                #expect(found.results(of: "unit").map(\.result) == ["skip"])
                _ = await machine.shell("chmod 755 /opt")
                // The agent itself says why it waits.
                _ = await machine.shell("chmod 600 \(Self.version); systemctl start upgradelinkd")
                let hasStarted = await eventually(within: 60) {
                    await machine.shell("journalctl -u upgradelinkd -o cat").contains("chgrp upgradelinkd")
                }
                #expect(hasStarted)
            }
        }

        @Test func textAndJSONAgreeAndOtherUsersAreToldWhy() async throws {
            try await withDevice { container, machine async throws in
                try await machine.run("systemctl", "enable", "--now", "upgradelinkd")
                #expect(await machine.status(says: "Up to date"))
                let text = await machine.shell("upgradelinkctl doctor; echo $?").split(separator: "\n").map(String.init)
                let found = try await report(machine)
                #expect(text.last == "0" && text.count == found.findings.count + 2, "\(text)")
                let columns = Set(
                    text.dropLast(2).compactMap { line in
                        line.firstIndex(of: ":").map { line.distance(from: line.startIndex, to: $0) }
                    })
                #expect(columns.count == 1, "the colons are aligned: \(text)")
                let marks = ["ok": "ok", "warn": "warn", "bad": "BAD", "skip": "skip"]
                for (line, finding) in zip(text, found.findings)
                where finding.name != "agent" && finding.name != "clock" {
                    #expect(line.hasPrefix(marks[finding.result] ?? "?"), "\(line)")
                    #expect(line.contains("\(finding.name): \(finding.text)"), "\(line), \(finding)")
                }
                let counts = ["ok", "warn", "bad", "skip"].map { found.summary[$0] ?? -1 }
                #expect(
                    text[text.count - 2] == "\(counts[0]) ok, \(counts[1]) warn, \(counts[2]) BAD, \(counts[3]) skip")
                #expect(
                    found.results(of: "keys").first?.text.contains(
                        /1 trusted: [0-9A-F]{16} \(\/etc\/upgradelinkd\/upgradelinkd.toml\)/) == true)

                for command in ["upgradelinkctl doctor", "upgradelinkd --check-config"] {
                    let refused = await machine.shell("setpriv --reuid=65534 --clear-groups \(command) 2>&1; echo $?")
                    #expect(refused.contains("needs root, because") && refused.hasSuffix("\n77"), "\(refused)")
                    #expect(refused.contains("run sudo \(command)"), "\(refused)")
                }
            }
        }
    }
}
